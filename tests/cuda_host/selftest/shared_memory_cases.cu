#include "cases.h"

namespace convolt::cuda_host::selftest {
namespace {

constexpr unsigned kThreads = 64;

// Sums of a block by halves. Without its last barrier the array is written again while slower
// threads still read it; without the others, a half is read before it is written.
enum class Barriers { kAll, kNoneAfterLoading, kNoneInTree, kNoneAtEnd };

template <typename T, Barriers barriers>
__global__ void block_sum(const T* x, int64_t pieces, T* y) {
  __shared__ T part[kThreads];
  for (int64_t piece = blockIdx.x; piece < pieces; piece += gridDim.x) {
    part[threadIdx.x] = x[piece * kThreads + threadIdx.x];
    if (barriers != Barriers::kNoneAfterLoading) __syncthreads();
    for (unsigned half = kThreads / 2; half > 0; half /= 2) {
      if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
      if (barriers != Barriers::kNoneInTree) __syncthreads();
    }
    if (threadIdx.x == kThreads - 1) y[piece] = part[0];
    if (barriers != Barriers::kNoneAtEnd) __syncthreads();
  }
}

template <typename T, Barriers barriers>
void sum_blocks() {
  constexpr int64_t kPieces = 5;
  const Array<T> x(std::vector<T>(kPieces * kThreads, T{2}));
  const Array<T> y(kPieces);
  const auto kernel = block_sum<T, barriers>;
  if (launch(kernel, 2, kThreads, x.data(), kPieces, y.data()) != cudaSuccess) return;
  require(y.values() == std::vector<T>(kPieces, T{2 * kThreads}), "the sums");
}

__global__ void read_unwritten(float* y) {
  __shared__ float part[kThreads];
  if (threadIdx.x > 0) part[threadIdx.x] = 1.0F;
  __syncthreads();
  y[threadIdx.x] = part[threadIdx.x];
}
void reads_unwritten() {
  const Array<float> y(kThreads);
  launch(read_unwritten, 1, kThreads, y.data());
}

__global__ void read_of_other_block(float* y) {
  __shared__ float kept;
  if (blockIdx.x == 0) kept = 1.0F;
  y[blockIdx.x] = kept;
}
void reads_of_other_block() {
  const Array<float> y(2);
  launch(read_of_other_block, 2, 1, y.data());
}

__device__ void set(float* array, int64_t index) { array[index] = 1.0F; }
__global__ void write_at(int64_t shift) {
  __shared__ float part[kThreads];
  set(part, threadIdx.x + shift);
}
void inside() { succeed(launch(write_at, 1, kThreads, 0)); }
void writes_behind() { launch(write_at, 1, kThreads, 1); }

// Behind a row is the next one, still inside the array.
__global__ void write_row(int64_t column, float* y) {
  __shared__ float tile[2][8];
  tile[0][column] = 1.0F;
  *y = tile[column / 8][column % 8];
}
void write_in_row(int64_t column) {
  const Array<float> y(1);
  launch(write_row, 1, 1, column, y.data());
}
void row_inside() { write_in_row(7); }
void writes_behind_row() { write_in_row(8); }

__global__ void write_vector(int64_t shift) {
  __shared__ __align__(16) float part[8];
  *reinterpret_cast<float4*>(part + shift) = make_float4(1, 2, 3, 4);
}
void vector_aligned() { succeed(launch(write_vector, 1, 1, 4)); }
void vector_misaligned() { launch(write_vector, 1, 1, 2); }

// Each thread a byte of its own: neighbours share words, and do not race.
__global__ void exchange_bytes(uint8_t* y) {
  __shared__ uint8_t bytes[kThreads];
  bytes[threadIdx.x] = static_cast<uint8_t>(threadIdx.x);
  __syncthreads();
  y[threadIdx.x] = bytes[kThreads - 1 - threadIdx.x];
}
void bytes() {
  const Array<uint8_t> y(kThreads);
  succeed(launch(exchange_bytes, 1, kThreads, y.data()));
  require(y.values()[0] == kThreads - 1, "the bytes");
}

__global__ void take_too_much(float* y) {
  __shared__ float first[8192];
  __shared__ float second[4097];
  first[threadIdx.x] = second[threadIdx.x] = 1.0F;
  __syncthreads();
  *y = first[0] + second[0];
}
void too_much() {
  const Array<float> y(1);
  require(launch(take_too_much, 1, 1, y.data()) == cudaErrorInvalidConfiguration, "the status");
  cudaFuncAttributes attributes{};
  succeed(cudaFuncGetAttributes(&attributes, take_too_much));
  require(attributes.sharedSizeBytes == (8192 + 4097) * sizeof(float), "the size");
}

}  // namespace

std::vector<Case> shared_memory_cases() {
  return {
      {"sums with all barriers", sum_blocks<float, Barriers::kAll>, nullptr},
      {"sums with all barriers, double", sum_blocks<double, Barriers::kAll>, nullptr},
      {"no barrier after loading", sum_blocks<float, Barriers::kNoneAfterLoading>, "part"},
      {"no barrier in the tree", sum_blocks<float, Barriers::kNoneInTree>, "race"},
      {"no barrier at the end", sum_blocks<double, Barriers::kNoneAtEnd>, "race"},
      {"read of what nobody wrote", reads_unwritten, "byte 0 of the shared array"},
      {"read of what another block wrote", reads_of_other_block, "nobody has written"},
      {"inside the array", inside, nullptr},
      {"write behind the end", writes_behind, "0 bytes behind the end of the shared array"},
      {"inside the row", row_inside, nullptr},
      {"write behind the row", writes_behind_row, "index 8 is outside the array"},
      {"aligned vector", vector_aligned, nullptr},
      {"misaligned vector", vector_misaligned, "misaligned"},
      {"bytes of one word", bytes, nullptr},
      {"more than there is", too_much, nullptr},
  };
}

}  // namespace convolt::cuda_host::selftest
