#include "../calls.h"
#include "../prepared.h"
#include "../subjects.h"
#include "at_once.h"

namespace convolt {
namespace {

// A tuple of names.
std::optional<Needs> read_needs(py::handle value) {
  if (!PyTuple_CheckExact(value.ptr())) return std::nullopt;
  constexpr std::array<const char*, 3> kNames = {"dx", "dweight", "dbias"};
  Needs needs{};
  for (const py::handle item : py::reinterpret_borrow<py::tuple>(value)) {
    const auto is_item = [&](const char* name) { return read_text(item) == name; };
    const auto* const name = std::find_if(kNames.begin(), kNames.end(), is_item);
    if (name == kNames.end()) return std::nullopt;
    needs[static_cast<std::size_t>(name - kNames.begin())] = true;
  }
  return needs;
}

// None unless both can be taken as they are.
py::object py_relu_backward_at_once(py::handle dy, py::handle y, bool in_place) {
  if (!is_operand(dy) || !is_operand_like(y, dy)) return py::none();
  return py_relu_backward(as_array(dy), as_array(y), in_place);
}

// None unless all arguments can be taken as they are.
py::object py_conv2d_at_once(py::handle x, py::handle weight, py::handle bias, py::handle stride,
                             py::handle padding, py::handle dilation, py::handle groups,
                             py::handle activation, py::handle algorithm, py::handle out) {
  const std::optional<Pair> steps = read_pair(stride, 1);
  const std::optional<Quad> pads = read_padding(padding);
  const std::optional<Pair> dilations = read_pair(dilation, 1);
  const std::optional<int64_t> group_count = read_int(groups, 1);
  const std::optional<bool> relu = read_activation(activation);
  const bool ready = steps && pads && dilations && group_count && relu && is_name(algorithm) &&
                     is_planes(x) && is_planes(weight) && is_operand_like(weight, x) &&
                     (bias.is_none() || is_operand_like(bias, x)) &&
                     is_output(out, {x, weight, bias});
  if (!ready) return py::none();
  return py_conv2d_forward(as_array(x), as_array(weight), as_optional_array(bias), *steps, *pads,
                           *dilations, *group_count, *relu, read_text(algorithm),
                           as_optional_array(out));
}

py::object py_conv2d_backward_at_once(py::handle dy, py::handle x, py::handle weight, py::handle y,
                                      py::handle overwrite_dy, py::handle stride,
                                      py::handle padding, py::handle dilation, py::handle groups,
                                      py::handle activation, py::handle needs,
                                      py::handle algorithm) {
  const std::optional<Pair> steps = read_pair(stride, 1);
  const std::optional<Quad> pads = read_padding(padding);
  const std::optional<Pair> dilations = read_pair(dilation, 1);
  const std::optional<int64_t> group_count = read_int(groups, 1);
  const std::optional<bool> relu = read_activation(activation);
  const std::optional<bool> may_overwrite = read_flag(overwrite_dy);
  const std::optional<Needs> wanted = read_needs(needs);
  const bool ready = steps && pads && dilations && group_count && relu && may_overwrite && wanted &&
                     is_name(algorithm) && is_planes(x) && is_planes(weight) &&
                     is_operand_like(weight, x) && is_operand_like(dy, x) &&
                     (*relu ? is_operand_like(y, x) : y.is_none());
  if (!ready) return py::none();
  return py_conv2d_backward(as_array(dy), as_array(x), as_array(weight), as_optional_array(y),
                            *may_overwrite, *steps, *pads, *dilations, *group_count, *wanted,
                            read_text(algorithm));
}

}  // namespace

template <typename T>
py::object prepared_at_once(const PyPreparedConv2d<T>& prepared, py::handle x,
                            const std::optional<Quad>& padding, py::handle out) {
  const bool ready = padding && is_planes(x) && has_type<T>(as_array(x)) && is_output(out, {x});
  if (!ready) return py::none();
  return prepared.call(as_array(x), *padding, as_optional_array(out));
}
template py::object prepared_at_once(const PyPreparedConv2d<float>&, py::handle,
                                     const std::optional<Quad>&, py::handle);
template py::object prepared_at_once(const PyPreparedConv2d<double>&, py::handle,
                                     const std::optional<Quad>&, py::handle);

void register_conv_at_once(py::module_& m) {
  m.def("relu_backward", &py_relu_backward_at_once, py::arg("dy"), py::arg("y"),
        py::arg("in_place"));
  m.def("conv2d_at_once", &py_conv2d_at_once, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("groups"),
        py::arg("activation"), py::arg("algorithm"), py::arg("out"));
  m.def("conv2d_backward_at_once", &py_conv2d_backward_at_once, py::arg("dy"), py::arg("x"),
        py::arg("weight"), py::arg("y"), py::arg("overwrite_dy"), py::arg("stride"),
        py::arg("padding"), py::arg("dilation"), py::arg("groups"), py::arg("activation"),
        py::arg("needs"), py::arg("algorithm"));
}

}  // namespace convolt
