// The operands of the tiled product, read where they lie. An operand is a matrix of k rows, the
// elements that one sum runs over, and columns: m of A, n of B. A thread keeps the places of a few
// columns while it walks along k: what is dear to know of a column is found once a tile, and a step
// along k costs additions and carries, no divisions.
//
//   Operand::Columns<kCount, kApart>   the places of columns first, first + kApart, ...
//   columns(first, all)                the same; those behind the last of all are zeros
//   row(index)                         the place of row k, from its index along (plane, row,
//   column) at(data, columns, j, row)          the element
#pragma once

#include <limits>

#include "../geometry.h"
#include "walk.cuh"

namespace convolt::cuda {

// Rows and columns of an image are 32 bits wide in a thread's registers, of which there are none to
// spare: kNowhere, a row above all images, must stay above them whatever a tap adds.
constexpr int64_t kLargestPaddedSize = int64_t{1} << 30;
constexpr int kNowhere = std::numeric_limits<int>::min();

// The element of an image that tap (c, kh, kw) of a window at pixel (n, oh, ow) sees: columns are
// pixels and rows are taps, or the other way round. Zero in the padding, whose addresses are formed
// and never followed.
//
// WindowAxis::input is linear: an element's place is the place of its pixel and, added to it, how
// far the tap reaches from there.
template <typename T, bool kColumnsAreTaps>
struct ImageOperand {
  using Element = T;

  const T* data;
  int64_t group_stride;
  WindowAxis vertical, horizontal;
  int64_t batch_stride, channel_stride;
  Walk<3> columns_walk;  // pixels or taps

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
#pragma unroll
    for (int j = 0; j < kCount; ++j) {
      const int64_t i = first + j * kApart;
      columns.places[j] =
          i < all ? place<kColumnsAreTaps>(columns_walk.index_of(i)) : Place{0, kNowhere, 0};
    }
    return columns;
  }

  __device__ Place row(const Index<3>& index) const { return place<!kColumnsAreTaps>(index); }

  template <int kCount, int kApart>
  __device__ T at(const T* images, const Columns<kCount, kApart>& columns, int j,
                  const Place& b) const {
    const Place& a = columns.places[j];
    const int64_t row = a.row + b.row, column = a.column + b.column;
    const bool inside = row >= 0 && row < vertical.size && column >= 0 && column < horizontal.size;
    return inside ? images[a.offset + b.offset] : T{0};
  }

 private:
  template <bool kOfTap>
  __device__ Place place(const Index<3>& index) const {
    const int64_t row =
        kOfTap ? vertical.input(0, index[1]) - vertical.input(0, 0) : vertical.input(index[1], 0);
    const int64_t column = kOfTap ? horizontal.input(0, index[2]) - horizontal.input(0, 0)
                                  : horizontal.input(index[2], 0);
    const int64_t plane = index[0] * (kOfTap ? channel_stride : batch_stride);
    return {plane + row * horizontal.size + column, static_cast<int>(row),
            static_cast<int>(column)};
  }
};

// A plain array: column i begins at i * column_stride, and an index along k moves by `strides`. For
// the weight read along its input channels, and for dy.
template <typename T>
struct ArrayOperand {
  using Element = T;

  const T* data;
  int64_t group_stride;
  int64_t column_stride;
  int64_t strides[3];

  template <int kCount, int kApart>
  struct Columns {
    int64_t first;
    int count;
  };

  template <int kCount, int kApart>
  __device__ Columns<kCount, kApart> columns(int64_t first, int64_t all) const {
    const int64_t count = ceil_quotient(all - first, kApart);
    return {first * column_stride, static_cast<int>(count < kCount ? count : kCount)};
  }

  __device__ int64_t row(const Index<3>& index) const {
    return index[0] * strides[0] + index[1] * strides[1] + index[2] * strides[2];
  }

  template <int kCount, int kApart>
  __device__ T at(const T* elements, const Columns<kCount, kApart>& columns, int j,
                  int64_t row) const {
    return j < columns.count ? elements[columns.first + row + j * (kApart * column_stride)] : T{0};
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
  bool aligned;  // each column to 16 bytes, and it has whole vectors
};

}  // namespace convolt::cuda
