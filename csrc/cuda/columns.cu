#include <atomic>

#include "bias.h"
#include "blas.h"
#include "column_part.h"
#include "columns.h"
#include "launch.cuh"

namespace convolt::cuda {
namespace {

// Of columns that are much larger than L2 (50 MB on an H100) little is left there when the product
// comes to read them; much smaller ones make small products.
std::atomic<int64_t> column_scratch{int64_t{64} << 20};

// A matrix for each image and group.
template <typename T>
struct Matrices {
  T* data;
  int64_t leading, image_pitch, group_pitch;
  bool transposed = false;

  Matrix<T> of_image(int64_t image) const {
    return {data + image * image_pitch, leading, transposed, group_pitch};
  }
  Matrix<T> of_group(int64_t group) const {
    return {data + group * group_pitch, leading, transposed, image_pitch};
  }
};

// c = a b for each image and group, the more of the two as a batch of cuBLAS.
template <typename T>
void multiply_all(int64_t images, int64_t groups, int64_t m, int64_t n, int64_t k,
                  const Matrices<const T>& a, const Matrices<const T>& b, const Matrices<T>& c) {
  if (images >= groups) {
    for (int64_t g = 0; g < groups; ++g) {
      multiply(m, n, k, a.of_group(g), b.of_group(g), c.of_group(g), false, images);
    }
  } else {
    for (int64_t i = 0; i < images; ++i) {
      multiply(m, n, k, a.of_image(i), b.of_image(i), c.of_image(i), false, groups);
    }
  }
}

int64_t all_taps(const Conv2dProblem& p) { return p.in_channels * p.taps(); }
int64_t group_taps(const Conv2dProblem& p) { return p.group_in_channels() * p.taps(); }

// Whether it is pointwise, and an image is one row of a matrix with all of them.
bool is_product(const Conv2dProblem& p) { return p.is_pointwise() && p.in_pixels() == 1; }

// The pointwise convolution over images in the shape of the output.
Conv2dProblem over_outputs(const Conv2dProblem& p) {
  Conv2dProblem outputs = p;
  outputs.in_channels = p.out_channels;
  outputs.in_h = p.out_h;
  outputs.in_w = p.out_w;
  outputs.kernel_h = outputs.kernel_w = 1;
  outputs.window = WindowParams();
  return outputs;
}

// What fits into the scratch at a time.
struct PartSize {
  int64_t images, rows;
};

PartSize part_size(const Conv2dProblem& p, int64_t row_bytes) {
  const int64_t rows = column_scratch / std::max<int64_t>(row_bytes, 1);
  return {std::clamp<int64_t>(rows / p.out_h, 1, p.batch), std::clamp<int64_t>(rows, 1, p.out_h)};
}

template <typename F>
void for_each_part(const Conv2dProblem& p, const PartSize& size, const F& f) {
  for (int64_t image = 0; image < p.batch; image += size.images) {
    const int64_t images = std::min(size.images, p.batch - image);
    for (int64_t row = 0; row < p.out_h; row += size.rows) {
      f(WindowPart{image, images, row, std::min(size.rows, p.out_h - row)});
    }
  }
}

// The weight of each group, (OC/groups, C/groups * KH * KW), for all images.
template <typename T>
Matrices<const T> weight_matrices(const Conv2dProblem& p, const T* weight) {
  return {weight, group_taps(p), 0, p.group_out_channels() * group_taps(p)};
}

// Pixels of the output, (OC/groups, windows of the part).
template <typename T>
Matrices<T> output_matrices(const Conv2dProblem& p, const WindowPart& part, T* y) {
  const int64_t image = p.out_channels * p.out_pixels();
  return {y + part.first_image * image + part.first_row * p.out_w, p.out_pixels(), image,
          p.group_out_channels() * p.out_pixels()};
}

// Columns of the part, (C/groups * KH * KW, windows), image after image; x itself, if pointwise.
template <typename T>
Matrices<T> column_matrices(const Conv2dProblem& p, const WindowPart& part, T* col) {
  const int64_t windows = part.rows * p.out_w;
  return {col, windows, all_taps(p) * windows, group_taps(p) * windows};
}

WindowPart all_windows(const Conv2dProblem& p) { return {0, p.batch, 0, p.out_h}; }

template <typename T>
ColumnPitches pitches_of(const Matrices<T>& columns) {
  return {columns.image_pitch, columns.leading, 1};
}

// (taps, windows) of a whole part of more than one image, those of an image next to each other:
// what the reduction of backward_weights runs over. Of one image nothing need be written where the
// matrix is there already.
template <typename T>
Matrix<const T> side_by_side(const Conv2dProblem& p, const WindowPart& part, const T* x,
                             T* scratch) {
  const int64_t image_windows = part.rows * p.out_w, windows = part.images * image_windows;
  if (part.images == 1 && p.is_pointwise()) {
    const T* const image = x + part.first_image * p.in_channels * p.in_pixels();
    return {image + part.first_row * p.out_w, p.in_pixels(), false,
            p.group_in_channels() * p.in_pixels()};
  }
  write_columns(p, part, {image_windows, windows, 1}, x, scratch);
  return {scratch, windows, false, group_taps(p) * windows};
}

}  // namespace

void set_column_scratch(int64_t bytes) { column_scratch = bytes; }

template <typename T>
void columns_forward(const Conv2dProblem& problem, const T* x, const T* weight, const T* bias,
                     bool relu, T* y) {
  const Conv2dProblem p = without_window(problem);
  const int64_t m = p.group_out_channels(), k = group_taps(p);
  const Matrices<const T> filters = weight_matrices(p, weight);
  if (is_product(p)) {
    multiply<T>(p.batch, m, k, {x, p.in_channels, false, k}, {weight, k, true, m * k},
                {y, p.out_channels, false, m}, false, p.groups);
  } else if (p.is_pointwise()) {
    const WindowPart all = all_windows(p);
    multiply_all(p.batch, p.groups, m, p.out_pixels(), k, filters, column_matrices(p, all, x),
                 output_matrices(p, all, y));
  } else if (p.batch > 0) {
    const int64_t row = all_taps(p) * p.out_w;
    const PartSize size = part_size(p, row * static_cast<int64_t>(sizeof(T)));
    const Scratch<T> scratch(size.images * size.rows * row);
    for_each_part(p, size, [&](const WindowPart& part) {
      T* const col = scratch.data();
      const Matrices<const T> columns = column_matrices<const T>(p, part, col);
      write_columns(p, part, pitches_of(columns), x, col);
      multiply_all(part.images, p.groups, m, part.rows * p.out_w, k, filters, columns,
                   output_matrices(p, part, y));
    });
  }
  if (bias != nullptr || relu) add_bias(p.output_shape(), bias, relu, y);
}

template <typename T>
void columns_backward_data(const Conv2dProblem& problem, const T* dy, const T* weight,
                           const T* bias, T* dx) {
  const Conv2dProblem p = without_window(problem);
  const int64_t m = group_taps(p), k = p.group_out_channels();
  Matrices<const T> filters = weight_matrices(p, weight);
  filters.transposed = true;
  if (is_product(p)) {
    multiply<T>(p.batch, m, k, {dy, p.out_channels, false, k}, {weight, m, false, k * m},
                {dx, p.in_channels, false, m}, false, p.groups);
  } else if (p.is_pointwise()) {
    const WindowPart all = all_windows(p);
    multiply_all(p.batch, p.groups, m, p.out_pixels(), k, filters, output_matrices(p, all, dy),
                 column_matrices(p, all, dx));
  } else if (p.batch > 0) {
    const int64_t row = all_taps(p) * p.out_w;
    const PartSize size = part_size(p, row * static_cast<int64_t>(sizeof(T)));
    const Scratch<T> scratch(size.images * size.rows * row);
    for_each_part(p, size, [&](const WindowPart& part) {
      const Matrices<T> columns = column_matrices(p, part, scratch.data());
      multiply_all(part.images, p.groups, m, part.rows * p.out_w, k, filters,
                   output_matrices(p, part, dy), columns);
      gather_columns(p, part, pitches_of(columns), columns.data, part.first_row > 0, dx);
    });
  }
  if (bias != nullptr) add_bias(problem.input_shape(), bias, false, dx);
}

template <typename T>
void columns_backward_weights(const Conv2dProblem& problem, const T* dy, const T* x, T* dweight) {
  const Conv2dProblem p = without_window(problem);
  const int64_t m = p.group_out_channels(), n = group_taps(p);
  const Matrix<T> gradient = {dweight, n, false, m * n};
  if (is_product(p) || p.batch == 0) {
    return multiply<T>(m, n, p.batch, {dy, p.out_channels, true, m}, {x, p.in_channels, false, n},
                       gradient, false, p.groups);
  }
  const Conv2dProblem outputs = over_outputs(p);
  const int64_t row = all_taps(p) * p.out_w, output_row = p.out_channels * p.out_w;
  const PartSize size = part_size(p, (row + output_row) * static_cast<int64_t>(sizeof(T)));
  const Scratch<T> columns(size.images * size.rows * row);
  const Scratch<T> pixels(size.images * size.rows * output_row);
  for_each_part(p, size, [&](const WindowPart& part) {
    const Matrix<const T> a = side_by_side(outputs, part, dy, pixels.data());
    Matrix<const T> b = side_by_side(p, part, x, columns.data());
    b.transposed = true;
    const bool is_first = part.first_image == 0 && part.first_row == 0;
    multiply(m, n, part.images * part.rows * p.out_w, a, b, gradient, !is_first, p.groups);
  });
}

template void columns_forward(const Conv2dProblem&, const float*, const float*, const float*, bool,
                              float*);
template void columns_forward(const Conv2dProblem&, const double*, const double*, const double*,
                              bool, double*);
template void columns_backward_data(const Conv2dProblem&, const float*, const float*, const float*,
                                    float*);
template void columns_backward_data(const Conv2dProblem&, const double*, const double*,
                                    const double*, double*);
template void columns_backward_weights(const Conv2dProblem&, const float*, const float*, float*);
template void columns_backward_weights(const Conv2dProblem&, const double*, const double*, double*);

}  // namespace convolt::cuda
