#include "../calls.h"
#include "../subjects.h"
#include "at_once.h"

namespace convolt {
namespace {

// None unless all arguments can be taken as they are.
py::object image_to_columns_at_once(const std::string& function, py::handle x, py::handle kernel,
                                    py::handle stride, py::handle padding, py::handle dilation,
                                    py::handle out) {
  const std::optional<Pair> size = read_pair(kernel, 1);
  const std::optional<Pair> steps = read_pair(stride, 1);
  const std::optional<Quad> pads = read_padding(padding);
  const std::optional<Pair> dilations = read_pair(dilation, 1);
  const bool ready = size && steps && pads && dilations && is_planes(x) && is_output(out, {x});
  if (!ready) return py::none();
  return image_to_columns(function, as_array(x), *size, *steps, *pads, *dilations,
                          as_optional_array(out));
}

// (N, C, H, W) of col2im, as it was written; of fold, which has H and W, by the shape of col.
std::optional<Shape4> read_image_shape(const std::string& function, const py::array& col,
                                       py::handle size, const Pair& kernel) {
  if (column_layout(function) == ColumnLayout::kTaps) {
    const std::optional<Pair> pixels = read_pair(size, 1);
    const int64_t taps = kernel[0] * kernel[1];
    if (!pixels || col.ndim() != 3 || col.shape(1) % taps != 0) return std::nullopt;
    return Shape4{col.shape(0), col.shape(1) / taps, (*pixels)[0], (*pixels)[1]};
  }
  if (!PyTuple_CheckExact(size.ptr()) || PyTuple_GET_SIZE(size.ptr()) != 4) return std::nullopt;
  Shape4 shape{};
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const py::handle item = PyTuple_GET_ITEM(size.ptr(), static_cast<Py_ssize_t>(axis));
    const std::optional<int64_t> value = read_int(item, axis < 2 ? 0 : 1);
    if (!value) return std::nullopt;
    shape[axis] = *value;
  }
  return shape;
}

py::object columns_to_image_at_once(const std::string& function, py::handle col, py::handle size,
                                    py::handle kernel, py::handle stride, py::handle padding,
                                    py::handle dilation, py::handle out) {
  const std::optional<Pair> window = read_pair(kernel, 1);
  const std::optional<Pair> steps = read_pair(stride, 1);
  const std::optional<Quad> pads = read_padding(padding);
  const std::optional<Pair> dilations = read_pair(dilation, 1);
  const bool ready =
      window && steps && pads && dilations && is_operand(col) && is_output(out, {col});
  if (!ready) return py::none();
  const std::optional<Shape4> shape = read_image_shape(function, as_array(col), size, *window);
  if (!shape) return py::none();
  return columns_to_image(function, as_array(col), *shape, *window, *steps, *pads, *dilations,
                          as_optional_array(out));
}

}  // namespace

void register_im2col_at_once(py::module_& m) {
  m.def("image_to_columns_at_once", &image_to_columns_at_once, py::arg("function"), py::arg("x"),
        py::arg("kernel"), py::arg("stride"), py::arg("padding"), py::arg("dilation"),
        py::arg("out"));
  m.def("columns_to_image_at_once", &columns_to_image_at_once, py::arg("function"), py::arg("col"),
        py::arg("size"), py::arg("kernel"), py::arg("stride"), py::arg("padding"),
        py::arg("dilation"), py::arg("out"));
}

}  // namespace convolt
