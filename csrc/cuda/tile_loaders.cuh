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
#include "vector_access.cuh"

namespace convolt::cuda {

template <typename T>
__device__ inline void load_vector(const T* from, T* to) {
  const auto run = load_run<kVectorWidth<T>>(from, 0);
#pragma unroll
  for (int e = 0; e < kVectorWidth<T>; ++e) to[e] = run.element[e];
}

// How the threads of a block lie on the tiles that they fetch element by element: each in one row,
// which it shares with its neighbours, so that the places of the row are the same for all of them;
// or where k is what is contiguous in memory with the rows side by side, sectors of 32 bytes or
// two. A thread of 128 x 128 takes four columns.
template <typename Tile, bool kAlongK>
struct FetchingThreads {
  static constexpr int kRows = Tile::kK;
  static constexpr int kColumns = Tile::kThreads / kRows;

  static __device__ int row() {
    const int thread = static_cast<int>(threadIdx.x);
    return kAlongK ? thread % kRows : thread / kColumns;
  }
  static __device__ int column() {
    const int thread = static_cast<int>(threadIdx.x);
    return kAlongK ? thread / kRows : thread % kColumns;
  }
};

// Element by element, for operands that have to look where each one is.
template <typename Threads, int kExtent, typename Operand>
class ElementLoader {
  using T = typename Operand::Element;
  static constexpr int kApart = Threads::kColumns;
  static constexpr int kColumns = kExtent / kApart;
  static_assert(kColumns * kApart == kExtent);

 public:
  __device__ ElementLoader(const Operand& operand, int64_t group, int64_t first, int64_t columns,
                           const Index<3>& point)
      : operand_(operand),
        row_(operand.data + group * operand.group_stride +
             operand.row_offset(point, first + Threads::column())),
        columns_(operand.template columns<kColumns, kApart>(first + Threads::column(), columns)) {}

  // Of the rows of this step `left` are of the sum.
  __device__ void fetch(int left, const Point& point) {
    const bool inside = Threads::row() < left;
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      elements_[j] = inside ? operand_.at(row_, point, columns_, j) : T{0};
    }
  }

  __device__ void advance(const Point& point) { operand_.along_k_strides().advance(point, row_); }

  template <typename SharedTile>
  __device__ void store(SharedTile& tile) const {
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      tile[Threads::row()][Threads::column() + j * kApart] = elements_[j];
    }
  }

 private:
  const Operand& operand_;
  const T* row_;
  typename Operand::template Columns<kColumns, kApart> columns_;
  T elements_[kColumns];
};

// Vectors of 16 bytes along k, one for each thread as far as there are; where they are not aligned
// their elements one by one.
template <typename Tile, int kExtent, typename T>
class VectorLoader {
  static constexpr int kVectorsInK = Tile::kK / kVectorWidth<T>;
  static constexpr int kVectors = kExtent * kVectorsInK;
  static_assert(kVectors <= Tile::kThreads);

 public:
  __device__ VectorLoader(const ContiguousOperand<T>& operand, int64_t group, int64_t first,
                          int64_t columns, const Index<3>&)
      : in_vectors_(operand.in_vectors && is_aligned(operand.data)),
        inside_(is_mine() && first + column() < columns),
        next_(operand.data + group * operand.group_stride + (first + column()) * operand.leading +
              row()) {}

  __device__ void fetch(int left, const Point&) {
    const int count = inside_ ? left - row() : 0;
    if (in_vectors_ && count > 0) {
      load_vector(next_, elements_);
    } else {
#pragma unroll
      for (int e = 0; e < kVectorWidth<T>; ++e) elements_[e] = e < count ? next_[e] : T{0};
    }
    next_ += Tile::kK;
  }

  __device__ void advance(const Point&) {}

  template <typename SharedTile>
  __device__ void store(SharedTile& tile) const {
    if (!is_mine()) return;
#pragma unroll
    for (int e = 0; e < kVectorWidth<T>; ++e) tile[row() + e][column()] = elements_[e];
  }

 private:
  static __device__ int row() {
    return static_cast<int>(threadIdx.x) % kVectorsInK * kVectorWidth<T>;
  }
  static __device__ int column() { return static_cast<int>(threadIdx.x) / kVectorsInK; }
  static __device__ bool is_mine() { return static_cast<int>(threadIdx.x) < kVectors; }

  bool in_vectors_, inside_;
  const T* next_;
  T elements_[kVectorWidth<T>];
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
