// Device arrays of other libraries in, ours out: __cuda_array_interface__ and DLPack, both without
// a copy. Streams as numbers, element types as NumPy writes them.
#pragma once

#include <string>

#include "../arrays.h"

namespace convolt {

namespace cuda {

// The number of a stream in Python: its handle, 0 for the legacy default stream.
std::uintptr_t stream_number(Stream stream);
// From such a number, or the 1 that both protocols write for the legacy default stream.
Stream stream_of(std::uintptr_t number);

// TypeError for another than the four.
ElementType element_type_of(const std::string& function, const char* argument,
                            const py::dtype& dtype);

// Memory of any strides, in elements: the array itself where it is contiguous, else a copy.
DeviceArray contiguous(const std::string& function, const DeviceArray& array, const Shape& strides);

// Keeps a Python object alive, to be released from any thread.
Owner owner_of(py::object object);

}  // namespace cuda

void register_dlpack(py::module_& m, py::class_<Array>& array);
void register_interchange(py::module_& m, py::class_<Array>& array);

}  // namespace convolt
