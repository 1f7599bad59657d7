// An array on a CUDA device, as Python holds it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/device.h"

namespace convolt::cuda {

enum class ElementType { kFloat32, kFloat64, kInt64, kUint8 };

// Calls f with a value of the type.
template <typename F>
auto with_type(ElementType type, F&& f) {
  switch (type) {
    case ElementType::kFloat32:
      return f(float{});
    case ElementType::kFloat64:
      return f(double{});
    case ElementType::kInt64:
      return f(int64_t{});
    case ElementType::kUint8:
      break;
  }
  return f(uint8_t{});
}

template <typename T>
inline constexpr ElementType element_type = ElementType::kUint8;
template <>
inline constexpr ElementType element_type<float> = ElementType::kFloat32;
template <>
inline constexpr ElementType element_type<double> = ElementType::kFloat64;
template <>
inline constexpr ElementType element_type<int64_t> = ElementType::kInt64;

using Shape = std::vector<int64_t>;

// The elements of such an array. Throws std::invalid_argument for a negative extent, and where the
// bytes of so many elements could not be counted.
int64_t element_count(const std::string& function, const Shape& shape);

// From one index to the next along each axis of a contiguous array, in elements.
Shape contiguous_strides(const Shape& shape);

// What frees foreign memory, or does nothing more.
using Owner = std::shared_ptr<void>;

// Contiguous elements in C order. Copies and parts share the memory, which lives as long as any.
//
// Memory belongs to a stream: what was enqueued there has filled it, and there it is given back.
// Whoever uses it on another stream makes that wait, and this one wait for the use: see call.h.
class DeviceArray {
 public:
  // New memory, uninitialised, on the current device and stream.
  DeviceArray(ElementType type, Shape shape);
  // Memory of somebody else.
  DeviceArray(Owner owner, void* data, ElementType type, Shape shape, int device, Stream stream,
              bool writeable);

  ElementType type() const { return type_; }
  int64_t ndim() const { return static_cast<int64_t>(shape_.size()); }
  const int64_t* shape() const { return shape_.data(); }
  int64_t shape(int64_t axis) const { return shape_[static_cast<std::size_t>(axis)]; }
  const Shape& extents() const { return shape_; }
  int64_t size() const { return size_; }
  int64_t itemsize() const {
    return with_type(type_, [](auto value) { return static_cast<int64_t>(sizeof(value)); });
  }
  int64_t nbytes() const { return size_ * itemsize(); }
  int device() const { return device_; }
  Stream stream() const { return stream_; }
  bool writeable() const { return writeable_; }
  bool borrowed() const { return borrowed_; }  // memory of somebody else

  const void* data() const { return data_; }
  void* mutable_data() { return data_; }

  DeviceArray reshape(Shape shape) const;
  // Of the first axis: [start, stop).
  DeviceArray rows(int64_t start, int64_t stop) const;

 private:
  ElementType type_;
  Shape shape_;
  int64_t size_;
  int device_;
  Stream stream_;
  bool writeable_, borrowed_;
  Owner owner_;
  void* data_;
};

}  // namespace convolt::cuda
