#include "../calls.h"
#include "../subjects.h"
#include "at_once.h"

namespace convolt {
namespace {

// The stride is the kernel where it is None.
std::optional<PoolArguments> read_pool(py::handle kernel, py::handle stride, py::handle padding,
                                       py::handle dilation, py::handle ceil_mode) {
  const std::optional<Pair> size = read_pair(kernel, 1);
  const std::optional<Pair> steps = stride.is_none() ? size : read_pair(stride, 1);
  const std::optional<Quad> pads = read_padding(padding);
  const std::optional<Pair> dilations = read_pair(dilation, 1);
  const std::optional<bool> rounds_up = read_flag(ceil_mode);
  if (!size || !steps || !pads || !dilations || !rounds_up) return std::nullopt;
  return PoolArguments{*size, *steps, *pads, *dilations, *rounds_up};
}

// None unless all arguments can be taken as they are.
py::object extremum_at_once(const std::string& function, py::handle x, py::handle kernel,
                            py::handle stride, py::handle padding, py::handle dilation,
                            py::handle ceil_mode, const std::string& wanted, py::handle out) {
  const std::optional<PoolArguments> arguments =
      read_pool(kernel, stride, padding, dilation, ceil_mode);
  if (!arguments || !is_planes(x) || !is_output(out, {x})) return py::none();
  return extremum_forward(function, as_array(x), *arguments, wanted, as_optional_array(out));
}

py::object avg_at_once(py::handle x, py::handle kernel, py::handle stride, py::handle padding,
                       py::handle ceil_mode, py::handle count_include_pad, py::handle out) {
  const std::optional<PoolArguments> arguments =
      read_pool(kernel, stride, padding, py::int_(1), ceil_mode);
  const std::optional<bool> counts_padding = read_flag(count_include_pad);
  if (!arguments || !counts_padding || !is_planes(x) || !is_output(out, {x})) return py::none();
  return avg_forward(as_array(x), *arguments, *counts_padding, 0, as_optional_array(out));
}

}  // namespace

void register_pool_at_once(py::module_& m) {
  m.def("pool2d_max_at_once", &extremum_at_once, py::arg("function"), py::arg("x"),
        py::arg("kernel"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("ceil_mode"), py::arg("wanted"), py::arg("out"));
  m.def("avg_pool2d_at_once", &avg_at_once, py::arg("x"), py::arg("kernel"), py::arg("stride"),
        py::arg("padding"), py::arg("ceil_mode"), py::arg("count_include_pad"), py::arg("out"));
}

}  // namespace convolt
