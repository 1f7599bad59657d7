// The operands of the tiled product, read where they lie. An operand is a matrix of k rows, the
// elements that one sum runs over, and columns: m of A, n of B. Both are counted as points of
// planes, (plane, row, column): a tap is (channel, kh, kw), a pixel (image, oh, ow).
//
// The place of an element is linear in both points, so that a thread finds the places of its
// columns once a tile, with divisions, and goes along k by additions and carries.
#pragma once

#include "../geometry.h"
#include "walk.cuh"

namespace convolt::cuda {

// Rows and columns of an image are 32 bits wide in a thread's registers, of which there are none to
// spare. kNowhere, a row above all images, stays above them whatever a tap or a pixel adds.
constexpr int kLargestPaddedSize = 1 << 30;
constexpr int kNowhere = -kLargestPaddedSize;

// Where a thread is along k, in its plane, and whether the last step led to a new row or plane.
struct Point {
  int row, column;
  bool in_next_row, in_next_plane;
};

// How it goes along k, in steps whose digits are less than the extents: each carries once at most.
struct PointWalk {
  Walk<3> walk;
  int rows, columns;
  int step_rows, step_columns;

  __device__ void advance(Point& point) const {
    point.column += step_columns;
    point.in_next_row = point.column >= columns;
    if (point.in_next_row) point.column -= columns;
    point.row += step_rows + point.in_next_row;
    point.in_next_plane = point.row >= rows;
    if (point.in_next_plane) point.row -= rows;
  }
};

inline PointWalk make_point_walk(const std::array<int64_t, 3>& extents, int64_t step) {
  const Walk<3> walk = make_walk(extents, step);
  return {walk, static_cast<int>(extents[1]), static_cast<int>(extents[2]),
          static_cast<int>(walk.step.at[1]), static_cast<int>(walk.step.at[2])};
}

// What a point adds to the offset of an element, and a step along k.
struct Strides {
  int64_t plane, row, column;
  int64_t step, next_row, next_plane;  // of a PointWalk

  __device__ int64_t offset(const Index<3>& point) const {
    return point[0] * plane + point[1] * row + point[2] * column;
  }
  template <typename T>
  __device__ void advance(const Point& point, const T*& place) const {
    place += step;
    if (point.in_next_row) place += next_row;
    if (point.in_next_plane) place += next_plane;
  }
  void set_step(const PointWalk& along) {
    const Index<3>& by = along.walk.step;
    step = by.at[0] * plane + by.at[1] * row + by.at[2] * column;
    next_row = row - along.columns * column;
    next_plane = plane - along.rows * row;
  }
};

// The rows or the columns of the image at which points are, as WindowAxis::input says.
struct PointAxis {
  int first, unit;

  __device__ int at(int digit) const { return first + digit * unit; }
};

// The points of an image along one of the two directions of the matrix.
struct ImagePoints {
  PointAxis rows, columns;
  Strides strides;
  int64_t first;  // the offset of point (0, 0, 0)
};

// WindowAxis::input is linear: where a tap is, is where its pixel is and how far it reaches from
// there.
inline ImagePoints image_points(const PointAxis& rows, const PointAxis& columns, int64_t width,
                                int64_t plane_stride) {
  return {rows,
          columns,
          {plane_stride, rows.unit * width, columns.unit, 0, 0, 0},
          rows.first * width + columns.first};
}
inline ImagePoints pixel_points(const WindowAxis& v, const WindowAxis& h, int64_t image_stride) {
  const auto axis = [](const WindowAxis& along) -> PointAxis {
    const int64_t first = along.input(0, 0);
    return {static_cast<int>(first), static_cast<int>(along.input(1, 0) - first)};
  };
  return image_points(axis(v), axis(h), h.size, image_stride);
}
inline ImagePoints tap_points(const WindowAxis& v, const WindowAxis& h, int64_t channel_stride) {
  const auto axis = [](const WindowAxis& along) -> PointAxis {
    return {0, static_cast<int>(along.input(0, 1) - along.input(0, 0))};
  };
  return image_points(axis(v), axis(h), h.size, channel_stride);
}

// What the taps of windows see of an image: columns are pixels and rows are taps, or the other way
// round. Zero in the padding, whose addresses are formed and never followed.
template <typename T>
struct ImageOperand {
  using Element = T;

  const T* data;
  int64_t group_stride;
  int height, width;
  ImagePoints along_k, across;
  Walk<3> columns_walk;

  void set_steps(const PointWalk& walk, int apart) {
    along_k.strides.set_step(walk);
    columns_walk.step = columns_walk.index_of(apart);
  }

  struct Place {
    int64_t offset;
    int row, column;
  };
  template <int kCount, int kApart>
  struct Columns {
    Place places[kCount];
  };

  template <int kCount, int kApart>
  __device__ Columns<kCount, kApart> columns(int64_t first, int64_t all) const {
    Columns<kCount, kApart> columns;
    Index<3> point = columns_walk.index_of(first);
#pragma unroll
    for (int j = 0; j < kCount; ++j) {
      columns.places[j] = first + j * kApart < all ? place(point) : Place{0, kNowhere, 0};
      columns_walk.advance(point);
    }
    return columns;
  }

  __device__ int64_t row_offset(const Index<3>& point, int64_t) const {
    return along_k.first + along_k.strides.offset(point);
  }
  __device__ const Strides& along_k_strides() const { return along_k.strides; }

  // The element at a point along k, whose offset the caller keeps.
  template <int kCount, int kApart>
  __device__ T at(const T* at_row, const Point& point, const Columns<kCount, kApart>& columns,
                  int j) const {
    const Place& place = columns.places[j];
    const int row = place.row + along_k.rows.at(point.row);
    const int column = place.column + along_k.columns.at(point.column);
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? at_row[place.offset] : T{0};
  }

 private:
  __device__ Place place(const Index<3>& point) const {
    return {across.first + across.strides.offset(point), across.rows.at(static_cast<int>(point[1])),
            across.columns.at(static_cast<int>(point[2]))};
  }
};

// A plain array: column i begins at i * column_stride. For the weight read along its input
// channels, and for dy.
template <typename T>
struct ArrayOperand {
  using Element = T;

  const T* data;
  int64_t group_stride;
  int64_t column_stride;
  Strides along_k;

  void set_steps(const PointWalk& walk, int) { along_k.set_step(walk); }

  template <int kCount, int kApart>
  struct Columns {
    int count;
  };

  template <int kCount, int kApart>
  __device__ Columns<kCount, kApart> columns(int64_t first, int64_t all) const {
    const int64_t count = ceil_quotient(all - first, kApart);
    return {static_cast<int>(count < kCount ? count : kCount)};
  }

  __device__ int64_t row_offset(const Index<3>& point, int64_t first) const {
    return along_k.offset(point) + first * column_stride;
  }
  __device__ const Strides& along_k_strides() const { return along_k; }

  template <int kCount, int kApart>
  __device__ T at(const T* row, const Point&, const Columns<kCount, kApart>& columns, int j) const {
    return j < columns.count ? row[j * (kApart * column_stride)] : T{0};
  }
};

// A matrix whose columns are contiguous in k, `leading` elements apart: the weight of the forward
// pass.
template <typename T>
struct ContiguousOperand {
  using Element = T;

  const T* data;
  int64_t group_stride;
  int64_t leading;
  bool in_vectors;  // whole ones, where `data` is aligned

  void set_steps(const PointWalk&, int) {}
};

}  // namespace convolt::cuda
