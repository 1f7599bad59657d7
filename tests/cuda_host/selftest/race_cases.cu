#include "cases.h"

namespace convolt::cuda_host::selftest {
namespace {

constexpr unsigned kThreads = 32;
constexpr unsigned kBlocks = 3;

__global__ void write_together(float* y, int64_t stride) {
  y[(static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * stride] = 1.0F;
}
void write_apart() {
  const Array<float> y(kBlocks * kThreads);
  succeed(launch(write_together, kBlocks, kThreads, y.data(), 1));
  // The same elements again: launches on one stream are in order.
  succeed(launch(write_together, kBlocks, kThreads, y.data(), 1));
}
void threads_write_one() {
  const Array<float> y(1);
  launch(write_together, 1, kThreads, y.data(), 0);
}
void blocks_write_one() {
  const Array<float> y(1);
  launch(write_together, kBlocks, 1, y.data(), 0);
}

__global__ void write_bytes(uint8_t* y, int64_t stride) { y[blockIdx.x * stride] = 1; }
void blocks_write_bytes() {
  const Array<uint8_t> y(kBlocks);
  succeed(launch(write_bytes, kBlocks, 1, y.data(), 1));
}
void blocks_write_one_byte() {
  const Array<uint8_t> y(kBlocks);
  launch(write_bytes, kBlocks, 1, y.data(), 0);
}

// The last thread, or the last block, comes back to the byte of the first.
__global__ void write_first_byte(uint8_t* y) {
  const unsigned last = blockDim.x * gridDim.x - 1;
  const unsigned index = blockIdx.x * blockDim.x + threadIdx.x;
  y[index == last ? 0 : index] = 1;
}
void write_first_byte_again(unsigned blocks, unsigned threads) {
  const Array<uint8_t> y(3);
  launch(write_first_byte, blocks, threads, y.data());
}
void threads_write_first_byte() { write_first_byte_again(1, 3); }
void blocks_write_first_byte() { write_first_byte_again(3, 1); }

// Each reads two bytes of a word, and writes one of them that nobody else reads, or that others do.
__global__ void read_and_write_bytes(uint8_t* x, unsigned shift) {
  const uint8_t value = x[2 * threadIdx.x];
  x[2 * threadIdx.x + shift] = static_cast<uint8_t>(value + x[2 * threadIdx.x + 1]);
}
void write_bytes_that_are_read(unsigned shift) {
  const Array<uint8_t> x(std::vector<uint8_t>(6, 1));
  launch(read_and_write_bytes, 1, 2, x.data(), shift);
}
void own_bytes_of_a_word() { write_bytes_that_are_read(1); }
void others_bytes_of_a_word() { write_bytes_that_are_read(2); }

// One block writes what all read: which value they get depends on the order. If it is the last,
// it has read the value itself since the others did.
__global__ void read_and_write(float* x, float* y, unsigned writer) {
  y[blockIdx.x] = x[0];
  if (blockIdx.x == writer) x[0] = 2.0F;
}
void block_writes(unsigned writer) {
  const Array<float> x(std::vector<float>(1, 1.0F));
  const Array<float> y(kBlocks);
  launch(read_and_write, kBlocks, 1, x.data(), y.data(), writer);
}
void first_block_writes() { block_writes(0); }
void last_block_writes() { block_writes(kBlocks - 1); }

// Threads shift an array by one place, through global memory.
__global__ void shift(float* x, bool barrier) {
  const float value = x[(threadIdx.x + 1) % blockDim.x];
  if (barrier) __syncthreads();
  x[threadIdx.x] = value;
}
void shift_with(bool barrier) {
  std::vector<float> values;
  for (unsigned i = 0; i < kThreads; ++i) values.push_back(static_cast<float>(i));
  const Array<float> x(values);
  if (launch(shift, 1, kThreads, x.data(), barrier) != cudaSuccess) return;
  require(x.values()[3] == 4.0F && x.values()[kThreads - 1] == 0.0F, "the values");
}
void shift_with_barrier() { shift_with(true); }
void shift_without_barrier() { shift_with(false); }

// An element read by its own thread and written by it is nobody else's affair.
__global__ void add_one(float* x) {
  for (int i = 0; i < 3; ++i) x[threadIdx.x] += 1.0F;
  __syncthreads();
  x[blockDim.x - 1 - threadIdx.x] += 1.0F;
}
void own_elements() {
  const Array<float> x(std::vector<float>(kThreads, 1.0F));
  succeed(launch(add_one, 1, kThreads, x.data()));
  require(x.values() == std::vector<float>(kThreads, 5.0F), "the values");
}

__global__ void sum_of_all(const float* x, float* y) { y[blockIdx.x] = x[0] + x[1]; }
void read_and_then_write() {
  const Array<float> x(std::vector<float>(kBlocks, 1.0F));
  const Array<float> y(kBlocks);
  succeed(launch(sum_of_all, kBlocks, 1, x.data(), y.data()));
  succeed(launch(sum_of_all, kBlocks, 1, y.data(), x.data()));
  succeed(launch(add_one, 1, kBlocks, y.data()));
}

__global__ void meet(unsigned who) {
  if (threadIdx.x < who) __syncthreads();
}
void all_meet() { succeed(launch(meet, kBlocks, kThreads, kThreads)); }
void some_meet() { launch(meet, kBlocks, kThreads, kThreads / 2); }

__global__ void meet_often(bool uneven) {
  const unsigned times = uneven ? 1 + threadIdx.x / 16 : 2;
  for (unsigned i = 0; i < times; ++i) __syncthreads();
}
void meet_twice() { succeed(launch(meet_often, 1, kThreads, false)); }
void meet_unevenly() { launch(meet_often, 1, kThreads, true); }

}  // namespace

std::vector<Case> race_cases() {
  return {
      {"each its element", write_apart, nullptr},
      {"threads write one element", threads_write_one, "race with block 0, thread "},
      {"blocks write one element", blocks_write_one, "race with block "},
      {"blocks write bytes of one word", blocks_write_bytes, nullptr},
      {"blocks write one byte", blocks_write_one_byte, "race with block "},
      {"threads write the first byte of a word", threads_write_first_byte, "race with block 0"},
      {"blocks write the first byte of a word", blocks_write_first_byte, "race with "},
      {"own bytes of a word", own_bytes_of_a_word, nullptr},
      {"bytes of a word that others read", others_bytes_of_a_word, "race with block 0, "},
      {"a launch writes what the last one read", read_and_then_write, nullptr},
      {"the first block writes what others read", first_block_writes, "race with "},
      {"the last block writes what others read", last_block_writes, "race with "},
      {"a barrier between reads and writes", shift_with_barrier, nullptr},
      {"no barrier between reads and writes", shift_without_barrier, "race with block 0, thread "},
      {"own elements", own_elements, nullptr},
      {"a barrier for all", all_meet, nullptr},
      {"a barrier in a branch", some_meet, "wait at a barrier"},
      {"as many barriers for all", meet_twice, nullptr},
      {"more barriers for some", meet_unevenly, "wait at a barrier"},
  };
}

}  // namespace convolt::cuda_host::selftest
