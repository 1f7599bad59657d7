// What instrumented code calls: the .cu files are compiled with -fsanitize=thread and with some
// checks of undefined behaviour, but linked with none of the compiler's libraries for them.
#include <cstdint>
#include <string>

#include "access.h"
#include "launch.h"
#include "report.h"

using namespace convolt::cuda_host;

namespace {

// What the compiler passes on undefined behaviour begins with it.
struct SourceLocation {
  const char* file;
  uint32_t line;
  uint32_t column;
};

void undefined(cudaError code, const SourceLocation& location, const std::string& what) {
  const std::string path = location.file;
  const std::string text = path.substr(path.rfind('/') + 1) + ':' + std::to_string(location.line) +
                           ':' + std::to_string(location.column) + ": " + what;
  if (current_access != nullptr) kernel_fault(code, text);
  report("host code, " + text);
}

void check_read(const void* p, std::size_t bytes, const void* code) {
  check_bytes<false>(reinterpret_cast<std::size_t>(p), bytes, code);
}
void check_write(const void* p, std::size_t bytes, const void* code) {
  check_bytes<true>(reinterpret_cast<std::size_t>(p), bytes, code);
}

template <typename T>
T compare_exchange(volatile T* p, T expected, T desired) {
  __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the compiler's.
extern "C" {

void __tsan_init() {}
void __tsan_vptr_update(void** /*p*/, void* /*value*/) {}
void __tsan_vptr_read(void** /*p*/) {}

void __tsan_read1(void* p) {
  check_aligned<1, false>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_read2(void* p) {
  check_aligned<2, false>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_read4(void* p) {
  check_aligned<4, false>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_read8(void* p) {
  check_aligned<8, false>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_read16(void* p) {
  check_aligned<16, false>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_write1(void* p) {
  check_aligned<1, true>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_write2(void* p) {
  check_aligned<2, true>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_write4(void* p) {
  check_aligned<4, true>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_write8(void* p) {
  check_aligned<8, true>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_write16(void* p) {
  check_aligned<16, true>(reinterpret_cast<std::size_t>(p), __builtin_return_address(0));
}
void __tsan_unaligned_read2(void* p) { check_read(p, 2, __builtin_return_address(0)); }
void __tsan_unaligned_read4(void* p) { check_read(p, 4, __builtin_return_address(0)); }
void __tsan_unaligned_read8(void* p) { check_read(p, 8, __builtin_return_address(0)); }
void __tsan_unaligned_read16(void* p) { check_read(p, 16, __builtin_return_address(0)); }
void __tsan_unaligned_write2(void* p) { check_write(p, 2, __builtin_return_address(0)); }
void __tsan_unaligned_write4(void* p) { check_write(p, 4, __builtin_return_address(0)); }
void __tsan_unaligned_write8(void* p) { check_write(p, 8, __builtin_return_address(0)); }
void __tsan_unaligned_write16(void* p) { check_write(p, 16, __builtin_return_address(0)); }
void __tsan_read_range(void* p, std::size_t bytes) {
  check_read(p, bytes, __builtin_return_address(0));
}
void __tsan_write_range(void* p, std::size_t bytes) {
  check_write(p, bytes, __builtin_return_address(0));
}

// Host code only: kernels have no atomics. Every order is the strongest.
int8_t __tsan_atomic8_load(const volatile int8_t* p, int /*order*/) {
  return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}
void __tsan_atomic8_store(volatile int8_t* p, int8_t value, int /*order*/) {
  __atomic_store_n(p, value, __ATOMIC_SEQ_CST);
}
int32_t __tsan_atomic32_load(const volatile int32_t* p, int /*order*/) {
  return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}
void __tsan_atomic32_store(volatile int32_t* p, int32_t value, int /*order*/) {
  __atomic_store_n(p, value, __ATOMIC_SEQ_CST);
}
int64_t __tsan_atomic64_load(const volatile int64_t* p, int /*order*/) {
  return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}
void __tsan_atomic64_store(volatile int64_t* p, int64_t value, int /*order*/) {
  __atomic_store_n(p, value, __ATOMIC_SEQ_CST);
}
int32_t __tsan_atomic32_exchange(volatile int32_t* p, int32_t value, int /*order*/) {
  return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);
}
int32_t __tsan_atomic32_fetch_add(volatile int32_t* p, int32_t value, int /*order*/) {
  return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);
}
int32_t __tsan_atomic32_fetch_sub(volatile int32_t* p, int32_t value, int /*order*/) {
  return __atomic_fetch_sub(p, value, __ATOMIC_SEQ_CST);
}
int32_t __tsan_atomic32_compare_exchange_val(volatile int32_t* p, int32_t expected, int32_t desired,
                                             int /*order*/, int /*failure_order*/) {
  return compare_exchange(p, expected, desired);
}
int64_t __tsan_atomic64_exchange(volatile int64_t* p, int64_t value, int /*order*/) {
  return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);
}
int64_t __tsan_atomic64_fetch_add(volatile int64_t* p, int64_t value, int /*order*/) {
  return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);
}
int64_t __tsan_atomic64_fetch_sub(volatile int64_t* p, int64_t value, int /*order*/) {
  return __atomic_fetch_sub(p, value, __ATOMIC_SEQ_CST);
}
int64_t __tsan_atomic64_compare_exchange_val(volatile int64_t* p, int64_t expected, int64_t desired,
                                             int /*order*/, int /*failure_order*/) {
  return compare_exchange(p, expected, desired);
}

void __ubsan_handle_out_of_bounds(const SourceLocation* location, std::uintptr_t index) {
  undefined(cudaErrorIllegalAddress, *location,
            "index " + std::to_string(index) + " is outside the array");
}
void __ubsan_handle_type_mismatch_v1(const SourceLocation* location, std::uintptr_t pointer) {
  undefined(cudaErrorMisalignedAddress, *location, "misaligned, " + describe(pointer));
}
void __ubsan_handle_add_overflow(const SourceLocation* location) {
  undefined(cudaErrorLaunchFailure, *location, "a sum overflows");
}
void __ubsan_handle_sub_overflow(const SourceLocation* location) {
  undefined(cudaErrorLaunchFailure, *location, "a difference overflows");
}
void __ubsan_handle_mul_overflow(const SourceLocation* location) {
  undefined(cudaErrorLaunchFailure, *location, "a product overflows");
}
void __ubsan_handle_negate_overflow(const SourceLocation* location) {
  undefined(cudaErrorLaunchFailure, *location, "a negation overflows");
}
void __ubsan_handle_divrem_overflow(const SourceLocation* location) {
  undefined(cudaErrorLaunchFailure, *location, "a division by zero, or its quotient overflows");
}
void __ubsan_handle_shift_out_of_bounds(const SourceLocation* location) {
  undefined(cudaErrorLaunchFailure, *location, "a shift by too many bits");
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
