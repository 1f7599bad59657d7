#include "cases.h"

namespace convolt::cuda_host::selftest {
namespace {

constexpr unsigned kThreads = 32;

__device__ int64_t element() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

__global__ void copy(const float* from, float* to, int64_t shift_from, int64_t shift_to) {
  to[element() + shift_to] = from[element() + shift_from];
}

void copy_shifted(int64_t shift_from, int64_t shift_to) {
  const Array<float> from(std::vector<float>(2 * kThreads, 1.0F));
  const Array<float> to(2 * kThreads);
  if (launch(copy, 2, kThreads, from.data(), to.data(), shift_from, shift_to) != cudaSuccess) {
    return;
  }
  require(to.values() == std::vector<float>(2 * kThreads, 1.0F), "the copy");
}

void inside() { copy_shifted(0, 0); }
void reads_behind() { copy_shifted(1, 0); }
void reads_before() { copy_shifted(-1, 0); }
void writes_behind() { copy_shifted(0, 1); }
void writes_before() { copy_shifted(0, -1); }

// The last of three bytes shares its word with a byte that is not allocated.
__global__ void fill_bytes(uint8_t* to) { to[threadIdx.x] = 7; }
void bytes_inside() {
  const Array<uint8_t> bytes(3);
  succeed(launch(fill_bytes, 1, 3, bytes.data()));
  require(bytes.values() == std::vector<uint8_t>(3, 7), "the bytes");
}
void bytes_behind() {
  const Array<uint8_t> bytes(3);
  launch(fill_bytes, 1, 4, bytes.data());
}

void reads_unwritten() {
  const Array<float> from(kThreads);
  const Array<float> to(kThreads);
  launch(copy, 1, kThreads, from.data(), to.data(), 0, 0);
}
void reads_half_written() {
  const Array<float> array(kThreads);
  succeed(cudaMemsetAsync(array.data(), 0, array.bytes() - 1));
  launch(copy, 1, kThreads, array.data(), array.data(), 0, 0);
}
void copies_unwritten_to_host() { Array<float>(kThreads).values(); }

// Half of it has values, and so has half of the copy, whose bytes lie otherwise in their words.
void copy_half_written(std::size_t bytes_to_host) {
  const Array<uint8_t> from(8);
  const Array<uint8_t> to(10);
  succeed(cudaMemsetAsync(from.data(), 1, 4));
  succeed(cudaMemcpyAsync(to.data() + 1, from.data(), 8, cudaMemcpyDeviceToDevice));
  uint8_t host[8] = {};
  static_cast<void>(cudaMemcpyAsync(host, to.data() + 1, bytes_to_host, cudaMemcpyDeviceToHost) ==
                    cudaSuccess);
}
void copies_written_half() { copy_half_written(4); }
void copies_unwritten_half() { copy_half_written(5); }

__global__ void copy_vectors(const float* from, float4* to) {
  to[threadIdx.x] = *reinterpret_cast<const float4*>(from + 4 * threadIdx.x);
}
void copy_vectors_from(int64_t shift) {
  const Array<float> from(std::vector<float>(4 * kThreads + 4, 1.0F));
  const Array<float4> to(kThreads);
  launch(copy_vectors, 1, kThreads, from.data() + shift, to.data());
}
void vectors_aligned() { copy_vectors_from(4); }
void vectors_misaligned() { copy_vectors_from(1); }
void vectors_half_aligned() { copy_vectors_from(2); }

__global__ void set_double(float* to) { *reinterpret_cast<double*>(to) = 1.0; }
void double_misaligned() {
  const Array<float> to(4);
  launch(set_double, 1, 1, to.data() + 1);
}

void used_after_free() {
  float* from = nullptr;
  {
    const Array<float> freed(std::vector<float>(kThreads, 1.0F));
    from = freed.data();
  }
  const Array<float> to(kThreads);
  launch(copy, 1, kThreads, from, to.data(), 0, 0);
}

void host_pointer_in_kernel() {
  const std::vector<float> from(kThreads, 1.0F);
  const Array<float> to(kThreads);
  launch(copy, 1, kThreads, from.data(), to.data(), 0, 0);
}

volatile float variable_of_host = 1.0F;
__global__ void read_variable(float* to) { *to = variable_of_host; }
void host_variable_in_kernel() {
  const Array<float> to(1);
  launch(read_variable, 1, 1, to.data());
}

void device_pointer_on_host() {
  const Array<float> array(std::vector<float>(1, 1.0F));
  require(*static_cast<volatile float*>(array.data()) == 1.0F, "the value");
}

void memory_of_another_device() {
  const Array<float> from(std::vector<float>(kThreads, 1.0F));
  const Array<float> to(kThreads);
  succeed(cudaSetDevice(1));
  launch(copy, 1, kThreads, from.data(), to.data(), 0, 0);
  succeed(cudaSetDevice(0));
}

// A thread's own memory, with addresses that the compiler cannot see through, and parameters.
struct Weights {
  int64_t values[8];
};
__device__ void double_all(int64_t* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] *= 2;
}
__global__ void local_arrays(Weights weights, int64_t count, int64_t* to) {
  int64_t local[8];
  for (int64_t i = 0; i < count; ++i) local[i] = weights.values[i];
  double_all(local, count);
  int64_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += local[(i + threadIdx.x) % count];
  to[threadIdx.x] = sum;
}
void run_local_arrays(int64_t count) {
  const Array<int64_t> to(kThreads);
  const Weights weights{{1, 2, 3, 4, 5, 6, 7, 8}};
  if (launch(local_arrays, 1, kThreads, weights, count, to.data()) != cudaSuccess) return;
  require(to.values() == std::vector<int64_t>(kThreads, 72), "the sums");
}
void own_memory() { run_local_arrays(8); }
void index_outside_array() { run_local_arrays(9); }

__global__ void square(const int* from, int* to) { *to = *from * *from; }
void run_square(int value) {
  const Array<int> from(std::vector<int>(1, value));
  const Array<int> to(1);
  launch(square, 1, 1, from.data(), to.data());
}
void product_in_range() { run_square(46340); }
void product_overflows() { run_square(46341); }

}  // namespace

std::vector<Case> memory_cases() {
  return {
      {"inside the arrays", inside, nullptr},
      {"read behind the end", reads_behind, "reads 4 bytes"},
      {"read before the beginning", reads_before, "4 bytes before an allocation of 256 bytes"},
      {"write behind the end", writes_behind, "0 bytes behind the end of an allocation of 256"},
      {"write before the beginning", writes_before, "4 bytes before an allocation of 256 bytes"},
      {"bytes inside", bytes_inside, nullptr},
      {"byte behind the end", bytes_behind, "0 bytes behind the end of an allocation of 3"},
      {"read of what nobody wrote", reads_unwritten, "of an allocation of 128 bytes, which nobody"},
      {"read of a word half written", reads_half_written, "byte 127 of an allocation of 128"},
      {"copy to the host of what nobody wrote", copies_unwritten_to_host, "nobody has written"},
      {"copy of the half that is written", copies_written_half, nullptr},
      {"copy of more than is written", copies_unwritten_half, "byte 5 of an allocation of 10"},
      {"aligned vectors", vectors_aligned, nullptr},
      {"misaligned vectors", vectors_misaligned, "misaligned, byte "},
      {"vectors at 8 bytes", vectors_half_aligned, "misaligned, byte "},
      {"misaligned double", double_misaligned, "misaligned, byte 4 of an allocation"},
      {"use after free", used_after_free, "that has been freed"},
      {"host pointer in a kernel", host_pointer_in_kernel, "host memory"},
      {"host variable in a kernel", host_variable_in_kernel, "host memory"},
      {"device pointer on the host", device_pointer_on_host, "host code reads 4 bytes"},
      {"memory of another device", memory_of_another_device, "on another device"},
      {"a thread's own memory", own_memory, nullptr},
      {"index outside of an array", index_outside_array, "index 8 is outside the array"},
      {"a product in range", product_in_range, nullptr},
      {"a product that overflows", product_overflows, "a product overflows"},
  };
}

}  // namespace convolt::cuda_host::selftest
