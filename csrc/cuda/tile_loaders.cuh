// From operands to tiles in shared memory, in two halves: fetch() takes the elements of a k step to
// registers, on their way while the product of the step before goes on, and store() puts them into
// the tile. A tile has a row for each k, so that the product reads what lies side by side.
//
//   tile[k][i], i < kExtent        rows are kExtent + one vector of 16 bytes apart
//
// The vector between rows turns the banks from row to row. Threads that are neighbours in k then
// write to banks of their own (8 rows by 4 floats, or in half a warp 8 rows by 2 doubles), and the
// rows stay aligned for the product's loads.
#pragma once

#include "operands.cuh"
#include "vectors.cuh"

namespace convolt::cuda {

constexpr int kWarp = 32;

// Where a step along k is, and where the sum ends.
struct Step {
  int64_t k, end;
};

// How the threads of a block lie on the tiles that they fetch element by element, kRows times one
// below the other: a warp along one row, whose place is then the same for all of it; or where k is
// what is contiguous in memory across eight rows, a sector of 32 bytes or two.
template <typename Tile, bool kAlongK>
struct FetchingThreads {
  static constexpr int kWarps = Tile::kThreads / kWarp;
  static constexpr int kRowsAtOnce = kAlongK ? Tile::kK : kWarps / (kWarps > 4 ? 2 : 1);
  static constexpr int kColumnsAtOnce = Tile::kThreads / kRowsAtOnce;
  static constexpr int kRows = Tile::kK / kRowsAtOnce;

  static __device__ int row() {
    const int thread = static_cast<int>(threadIdx.x);
    return kAlongK ? thread % kRowsAtOnce : thread / kColumnsAtOnce;
  }
  static __device__ int column() {
    const int thread = static_cast<int>(threadIdx.x);
    return kAlongK ? thread / kRowsAtOnce : thread % kColumnsAtOnce;
  }
};

// Element by element, for operands that have to look where each one is.
template <typename Threads, int kExtent, typename Operand>
class ElementLoader {
  using T = typename Operand::Element;
  static constexpr int kApart = Threads::kColumnsAtOnce;
  static constexpr int kColumns = kExtent / kApart;
  static_assert(kColumns * kApart == kExtent);

 public:
  __device__ ElementLoader(const Operand& operand, int64_t group, int64_t first, int64_t columns)
      : operand_(operand),
        data_(operand.data + group * operand.group_stride),
        columns_(operand.template columns<kColumns, kApart>(first + Threads::column(), columns)) {}

  // The i-th of this thread's rows, which is at `index`.
  __device__ void fetch(int i, const Step& step, const Index<3>& index) {
    const auto row = operand_.row(index);
    const bool inside = step.k + Threads::row() + i * Threads::kRowsAtOnce < step.end;
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      elements_[i][j] = inside ? operand_.at(data_, columns_, j, row) : T{0};
    }
  }

  template <typename SharedTile>
  __device__ void store(SharedTile& tile) const {
#pragma unroll
    for (int i = 0; i < Threads::kRows; ++i) {
      auto& row = tile[Threads::row() + i * Threads::kRowsAtOnce];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) row[Threads::column() + j * kApart] = elements_[i][j];
    }
  }

 private:
  const Operand& operand_;
  const T* data_;
  typename Operand::template Columns<kColumns, kApart> columns_;
  T elements_[Threads::kRows][kColumns];
};

// Vectors of 16 bytes along k, one for each thread as far as there are; where they are not aligned
// their elements one by one.
template <typename Tile, int kExtent, typename T>
class VectorLoader {
  static constexpr int kVectorsInK = Tile::kK / kVector<T>;
  static constexpr int kVectors = kExtent * kVectorsInK;
  static_assert(kVectors <= Tile::kThreads);

 public:
  __device__ VectorLoader(const ContiguousOperand<T>& operand, int64_t group, int64_t first,
                          int64_t columns)
      : aligned_(operand.aligned),
        inside_(is_mine() && first + column() < columns),
        column_(operand.data + group * operand.group_stride + (first + column()) * operand.leading +
                row()) {}

  __device__ void fetch(int i, const Step& step, const Index<3>&) {
    if (i > 0) return;  // one vector is all
    const int64_t count = inside_ ? step.end - step.k - row() : 0;
    if (aligned_ && count > 0) {
      load_vector(column_ + step.k, elements_);
    } else {
#pragma unroll
      for (int e = 0; e < kVector<T>; ++e) elements_[e] = e < count ? column_[step.k + e] : T{0};
    }
  }

  template <typename SharedTile>
  __device__ void store(SharedTile& tile) const {
    if (!is_mine()) return;
#pragma unroll
    for (int e = 0; e < kVector<T>; ++e) tile[row() + e][column()] = elements_[e];
  }

 private:
  static __device__ int row() { return static_cast<int>(threadIdx.x) % kVectorsInK * kVector<T>; }
  static __device__ int column() { return static_cast<int>(threadIdx.x) / kVectorsInK; }
  static __device__ bool is_mine() { return static_cast<int>(threadIdx.x) < kVectors; }

  bool aligned_, inside_;
  const T* column_;
  T elements_[kVector<T>];
};

template <typename Tile, typename Threads, int kExtent, typename Operand>
struct LoaderOf {
  using Type = ElementLoader<Threads, kExtent, Operand>;
};
template <typename Tile, typename Threads, int kExtent, typename T>
struct LoaderOf<Tile, Threads, kExtent, ContiguousOperand<T>> {
  using Type = VectorLoader<Tile, kExtent, T>;
};

}  // namespace convolt::cuda
