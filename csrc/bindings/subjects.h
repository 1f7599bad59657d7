// What the modules are made of: each subject registers its functions.
#pragma once

#include <pybind11/pybind11.h>

namespace convolt {

// Of both back ends.
void register_conv(pybind11::module_& m);
void register_im2col(pybind11::module_& m);
void register_norm(pybind11::module_& m);
void register_optim(pybind11::module_& m);
void register_pool(pybind11::module_& m);
void register_prepared(pybind11::module_& m);

// Of _core.
void register_conv_at_once(pybind11::module_& m);
void register_im2col_at_once(pybind11::module_& m);
void register_info(pybind11::module_& m);
void register_pool_at_once(pybind11::module_& m);

// Of _cuda.
void register_device_arrays(pybind11::module_& m);
void register_devices(pybind11::module_& m);
void register_elementwise(pybind11::module_& m);
void register_host(pybind11::module_& m);  // of the stand-in alone
void register_join(pybind11::module_& m);
void register_local_response_norm(pybind11::module_& m);

}  // namespace convolt
