#include "workspace.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <atomic>
#include <new>

namespace convolt {
namespace {

std::atomic<int64_t> held_bytes{0};

std::byte* allocate(std::size_t bytes) {
  std::byte* const data = allocate_block(bytes);
  held_bytes += static_cast<int64_t>(bytes);
  return data;
}

void deallocate(std::byte* data, std::size_t bytes) {
  free_block(data, bytes);
  held_bytes -= static_cast<int64_t>(bytes);
}

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::align_val_t alignment_of_block(std::size_t bytes) {
  return std::align_val_t{bytes >= kHugePage ? kHugePage : kCacheLine};
}

struct Arena {
  std::byte* data = nullptr;
  std::size_t capacity = 0;
  bool in_use = false;

  void free() {
    if (data != nullptr) deallocate(data, capacity);
    data = nullptr;
    capacity = 0;
  }
  ~Arena() { free(); }
};

thread_local Arena arena;

}  // namespace

std::byte* allocate_block(std::size_t bytes) {
  auto* const data =
      static_cast<std::byte*>(::operator new(bytes, alignment_of_block(bytes), std::nothrow));
  if (data == nullptr) throw OutOfMemory(bytes);
#if defined(__linux__)
  // Advice only: where it is refused, the pages are small ones.
  if (bytes >= kHugePage) madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return data;
}

void free_block(std::byte* data, std::size_t bytes) {
  ::operator delete(data, alignment_of_block(bytes));
}

Scratch::Scratch(std::size_t bytes) : data_(nullptr), bytes_(bytes), from_arena_(!arena.in_use) {
  if (!from_arena_) {
    data_ = allocate(bytes);
    return;
  }
  if (arena.capacity < bytes) {
    arena.free();
    arena.data = allocate(bytes);
    arena.capacity = bytes;
  }
  arena.in_use = true;
  data_ = arena.data;
}

Scratch::~Scratch() {
  if (!from_arena_) {
    deallocate(data_, bytes_);
    return;
  }
  arena.in_use = false;
  if (arena.capacity > kRetainedScratchBytes) arena.free();
}

int64_t scratch_bytes() { return held_bytes; }

void release_memory() {
  if (!arena.in_use) arena.free();
}

}  // namespace convolt
