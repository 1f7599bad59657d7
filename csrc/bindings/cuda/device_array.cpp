#include "device_array.h"

#include "common.h"

namespace convolt::cuda {
namespace {

// "(2, 3)", "(4,)"
std::string text(const Shape& shape) {
  std::string result = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    result += std::to_string(shape[i]);
    if (i + 1 < shape.size()) result += ", ";
  }
  return result + (shape.size() == 1 ? ",)" : ")");
}

// The default stream of another device than the current one is another stream.
void free_on_its_device(Memory* memory) noexcept {
  try {
    const DeviceGuard guard(memory->device());
    delete memory;
  } catch (const Error&) {  // of the guard's constructor: better from another device than never
    delete memory;
  }
}

}  // namespace

int64_t element_count(const std::string& function, const Shape& shape) {
  int64_t bytes = static_cast<int64_t>(sizeof(double));  // of the largest elements
  bool is_empty = false;
  for (const int64_t extent : shape) {
    if (extent < 0) {
      throw std::invalid_argument(function + ": shape must not be negative, got " + text(shape));
    }
    if (extent == 0) is_empty = true;
    bytes = checked_mul(bytes, extent == 0 ? 1 : extent, function, "shape");
  }
  return is_empty ? 0 : bytes / static_cast<int64_t>(sizeof(double));
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * shape[axis];
  }
  return strides;
}

DeviceArray::DeviceArray(ElementType type, Shape shape)
    : type_(type),
      shape_(std::move(shape)),
      size_(element_count("empty", shape_)),
      writeable_(true),
      borrowed_(false) {
  auto memory = std::make_unique<Memory>(static_cast<std::size_t>(nbytes()));
  device_ = memory->device();
  stream_ = memory->stream();
  data_ = memory->data();
  owner_ = std::shared_ptr<Memory>(memory.release(), free_on_its_device);
}

DeviceArray::DeviceArray(Owner owner, void* data, ElementType type, Shape shape, int device,
                         Stream stream, bool writeable)
    : type_(type),
      shape_(std::move(shape)),
      size_(element_count("view", shape_)),
      device_(device),
      stream_(stream),
      writeable_(writeable),
      borrowed_(true),
      owner_(std::move(owner)),
      data_(data) {}

DeviceArray DeviceArray::reshape(Shape shape) const {
  if (element_count("reshape", shape) != size_) {
    throw std::invalid_argument("reshape: shape must have " + std::to_string(size_) +
                                " elements, got " + text(shape));
  }
  DeviceArray result = *this;
  result.shape_ = std::move(shape);
  return result;
}

DeviceArray DeviceArray::rows(int64_t start, int64_t stop) const {
  if (shape_.empty() || start < 0 || stop < start || stop > shape_[0]) {
    throw std::invalid_argument("rows: start, stop must be a range of the first axis of shape " +
                                text(shape_) + ", got " + std::to_string(start) + ", " +
                                std::to_string(stop));
  }
  DeviceArray result = *this;
  const int64_t row = shape_[0] == 0 ? 0 : size_ / shape_[0];
  result.shape_[0] = stop - start;
  result.size_ = row * (stop - start);
  if (result.size_ > 0) result.data_ = static_cast<char*>(data_) + start * row * itemsize();
  return result;
}

}  // namespace convolt::cuda
