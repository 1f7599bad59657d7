// Scratch memory: one 64-byte-aligned arena for each calling thread, reused from call to call.
// Everything that a call needs, the slices of its worker threads included, is taken on the calling
// thread before the parallel region, so that nothing is allocated inside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "common.h"

namespace convolt {

// Arenas that grew beyond this are given back at the end of the call.
constexpr std::size_t kRetainedScratchBytes = std::size_t{64} << 20;

// What is thrown where memory is short for a block.
struct OutOfMemory : std::bad_alloc {
  explicit OutOfMemory(std::size_t asked) : bytes(asked) {}
  std::size_t bytes;
};

// Memory on a cache line; a large block on huge pages, where the system has them: its parts then
// neither compete for the sets of the second level of the cache, as scattered small pages do by
// chance, nor wait for their addresses. Throws OutOfMemory.
std::byte* allocate_block(std::size_t bytes);
void free_block(std::byte* data, std::size_t bytes);

// A block of scratch for the lifetime of the object. Throws OutOfMemory.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::byte* data() const { return data_; }

 private:
  std::byte* data_;
  std::size_t bytes_;
  bool from_arena_;  // false: the arena was in use, by a call that a signal handler interrupted
};

int64_t scratch_bytes();  // held by all threads together
void release_memory();    // frees the arena of the calling thread

// Adds up slices of a block: first to learn the size (base null), then to hand them out.
class Slicer {
 public:
  explicit Slicer(std::byte* base = nullptr) : base_(base) {}

  template <typename T>
  T* take(int64_t count) {
    T* const slice = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += static_cast<std::size_t>(
        round_up(count * static_cast<int64_t>(sizeof(T)), static_cast<int64_t>(kCacheLine)));
    return slice;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

}  // namespace convolt
