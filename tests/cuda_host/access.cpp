#include "access.h"

#include <algorithm>
#include <cstring>

#include "launch.h"
#include "report.h"

namespace convolt::cuda_host {

thread_local Access* current_access __attribute__((tls_model("initial-exec"))) = nullptr;

namespace {

// An access, for the report.
struct Site {
  std::size_t address;
  std::size_t bytes;
  bool writes;
  const void* code;

  std::string text() const {
    return (writes ? "writes " : "reads ") + std::to_string(bytes) +
           (bytes == 1 ? " byte" : " bytes") + " (" + code_location(code) + "): ";
  }
};

std::string describe_in_kernel(const Access& access, std::size_t address) {
  for (const SharedShadow& shadow : access.shared) {
    // Behind its end are other variables of the host's, which no kernel knows.
    const std::size_t offset = address - shadow.range.begin;
    const std::size_t bytes = shadow.range.bytes;
    if (offset < bytes + kMostSharedBytes) {
      const std::string name = "the shared array " + shadow.array->name;
      return offset < bytes ? "byte " + std::to_string(offset) + " of " + name
                            : std::to_string(offset - bytes) + " bytes behind the end of " + name;
    }
  }
  const std::string text = describe(address);
  const bool of_another_device =
      all_device_memory.contains(address) && !access.memory.contains(address);
  return of_another_device ? text + " on another device" : text;
}

[[noreturn]] void illegal(const Access& access, const Site& site) {
  // The first byte may be inside still.
  std::size_t bad = site.address;
  for (const SharedShadow& shadow : access.shared) {
    if (shadow.range.contains(site.address)) bad = shadow.range.begin + shadow.range.bytes;
  }
  kernel_fault(cudaErrorIllegalAddress, site.text() + describe_in_kernel(access, bad));
}

// The word at `address` lacks some of the bytes `mask`.
[[noreturn]] void missing(const Access& access, const Cell& cell, unsigned mask,
                          std::size_t address, const Site& site) {
  const bool allocated = (cell.allocated() & mask) == mask;
  const unsigned lacking = mask & ~(allocated ? cell.valued() : cell.allocated());
  const std::size_t bad = address + static_cast<std::size_t>(__builtin_ctz(lacking));
  kernel_fault(cudaErrorIllegalAddress, site.text() + describe_in_kernel(access, bad) +
                                            (allocated ? ", which nobody has written" : ""));
}

[[noreturn]] void race(const Access& access, const std::string& other, const char* what,
                       const Site& site) {
  kernel_fault(cudaErrorLaunchFailure, site.text() + "race with " + other + ", which has " + what +
                                           " it: " + describe_in_kernel(access, site.address));
}

// A record shows another thread or block, which nothing orders before the one that runs.
[[noreturn]] void race(const Access& access, const Record& record, unsigned mask, const char* what,
                       const Site& site) {
  if ((record.by_blocks() & mask) != 0) race(access, "another block", what, site);
  const auto later = std::upper_bound(
      access.blocks.begin(), access.blocks.end(), record.phase(),
      [](Stamp phase, const Access::Beginning& block) { return phase < block.phase; });
  const std::string block = "block " + std::to_string(std::prev(later)->block);
  const bool of_thread =
      (record.by_thread() & mask) != 0 &&
      (record.phase() != phase_of(access.now) || record.thread() != thread_of(access.now));
  const std::string thread =
      of_thread ? "thread " + std::to_string(record.thread()) : "another thread";
  race(access, block + ", " + thread, what, site);
}

// The bytes that others have come to, without an order to the thread that runs.
unsigned by_others(const Access& access, const Record& record) {
  const Stamp phase = record.phase();
  if (phase < access.launch_begin) return 0;
  const unsigned by_all = record.by_thread() | record.by_threads();
  if (phase < access.block_begin) return record.by_blocks() | by_all;
  if (phase != phase_of(access.now)) return record.by_blocks();
  const bool own = record.thread() == thread_of(access.now);
  return record.by_blocks() | (own ? record.by_threads() : by_all);
}

void note(const Access& access, Record& record, unsigned mask) {
  const Stamp phase = record.phase();
  if (phase == phase_of(access.now)) {
    const bool own = record.thread() == thread_of(access.now);
    const unsigned by_thread = own ? record.by_thread() | mask : mask;
    const unsigned by_threads =
        own ? record.by_threads() : record.by_threads() | record.by_thread();
    record.set(access.now, by_thread, by_threads, record.by_blocks());
    return;
  }
  unsigned by_blocks = 0;
  if (phase >= access.launch_begin) {
    by_blocks = record.by_blocks();
    if (phase < access.block_begin) by_blocks |= record.by_thread() | record.by_threads();
  }
  record.set(access.now, mask, 0, by_blocks);
}

// The bytes `mask` of a word at `address`.
template <bool kWrites>
inline void touch(Access& access, Cell& cell, unsigned mask, std::size_t address,
                  const Site& site) {
  const unsigned there = kWrites ? cell.allocated() : cell.allocated() & cell.valued();
  if ((there & mask) != mask) missing(access, cell, mask, address, site);
  if ((by_others(access, cell.writes) & mask) != 0) {
    race(access, cell.writes, mask, "written", site);
  }
  if constexpr (kWrites) {
    if ((by_others(access, cell.reads) & mask) != 0) race(access, cell.reads, mask, "read", site);
    note(access, cell.writes, mask);
    cell.set_valued(mask, true);
  } else {
    note(access, cell.reads, mask);
  }
}

void check_host(const Site& site) {
  if (!all_device_memory.contains(site.address)) return;
  report("host code " + site.text() + describe(site.address));
  // Where it is locked, the report shall not be lost in a crash.
  static const OpenMemory open;
}

// Where no cell is: the thread's own memory, or a mistake.
void check_private(const Access& access, const Site& site) {
  const AddressRange& range = access.stack.contains(site.address) ? access.stack : access.arguments;
  if (range.contains(site.address) && (!site.writes || &range == &access.stack)) return;
  illegal(access, site);
}

// Null for what is neither device memory nor shared.
inline Cell* find_cells(Access& access, std::size_t address, std::size_t bytes) {
  const AddressRange& memory = access.memory;
  if (memory.contains(address)) {
    return access.memory_cells + (address - memory.begin) / kWordBytes;
  }
  for (SharedShadow& shadow : access.shared) {
    const std::size_t offset = address - shadow.range.begin;
    if (offset < shadow.range.bytes && bytes <= shadow.range.bytes - offset) {
      return &shadow.cells[address / kWordBytes - shadow.range.begin / kWordBytes];
    }
  }
  return nullptr;
}

}  // namespace

void begin_launch(Access& access, int device, const BoundKernel& kernel) {
  access.memory = device_range(device);
  access.memory_cells = cells_at(access.memory.begin);
  access.arguments = {reinterpret_cast<std::size_t>(&kernel), kernel.bytes};
  access.shared.clear();
  for (const SharedArray& array : shared_arrays(kernel.function)) {
    // A word more, as the array may begin in the middle of one.
    access.shared.push_back({&array,
                             {reinterpret_cast<std::size_t>(array.data), array.bytes},
                             std::vector<Cell>(array.bytes / kWordBytes + 2)});
  }
  access.blocks.clear();
  begin_phase(access);
  access.launch_begin = phase_of(access.now);
}

void begin_block(Access& access, unsigned block) {
  begin_phase(access);
  access.block_begin = phase_of(access.now);
  access.blocks.push_back({access.block_begin, block});
  for (SharedShadow& shadow : access.shared) {
    // Not a number, for whoever reads it unseen.
    std::memset(shadow.array->data, 0xFF, shadow.array->bytes);
    Cell fresh{};
    fresh.allocate(kWholeWord);
    std::fill(shadow.cells.begin(), shadow.cells.end(), fresh);
  }
}

void begin_phase(Access& access) { access.now = phase_of(access.now) + kPhase; }

void set_thread(Access& access, unsigned thread, AddressRange stack) {
  access.now = phase_of(access.now) | Stamp{thread} << kThreadShift;
  access.stack = stack;
}

template <std::size_t kBytes, bool kWrites>
void check_aligned(std::size_t address, const void* code) {
  Access* const access = current_access;
  if (access == nullptr) {
    check_host({address, kBytes, kWrites, code});
    return;
  }
  Cell* const cells = find_cells(*access, address, kBytes);
  const Site site{address, kBytes, kWrites, code};
  if (cells == nullptr) {
    check_private(*access, site);
    return;
  }
  if constexpr (kBytes < kWordBytes) {
    const std::size_t in_word = address % kWordBytes;
    const unsigned mask = ((1U << kBytes) - 1U) << in_word;
    touch<kWrites>(*access, *cells, mask, address - in_word, site);
  } else {
    for (std::size_t i = 0; i < kBytes / kWordBytes; ++i) {
      touch<kWrites>(*access, cells[i], kWholeWord, address + i * kWordBytes, site);
    }
  }
}

template <bool kWrites>
void check_bytes(std::size_t address, std::size_t bytes, const void* code) {
  Access* const access = current_access;
  const Site site{address, bytes, kWrites, code};
  if (access == nullptr) {
    check_host(site);
    return;
  }
  Cell* const cells = find_cells(*access, address, bytes);
  if (cells == nullptr) {
    check_private(*access, site);
    return;
  }
  const std::size_t first = address / kWordBytes;
  for_each_word(address, bytes, [&](std::size_t index, unsigned mask) {
    touch<kWrites>(*access, cells[index - first], mask, index * kWordBytes, site);
  });
}

template void check_aligned<1, false>(std::size_t, const void*);
template void check_aligned<2, false>(std::size_t, const void*);
template void check_aligned<4, false>(std::size_t, const void*);
template void check_aligned<8, false>(std::size_t, const void*);
template void check_aligned<16, false>(std::size_t, const void*);
template void check_aligned<1, true>(std::size_t, const void*);
template void check_aligned<2, true>(std::size_t, const void*);
template void check_aligned<4, true>(std::size_t, const void*);
template void check_aligned<8, true>(std::size_t, const void*);
template void check_aligned<16, true>(std::size_t, const void*);
template void check_bytes<false>(std::size_t, std::size_t, const void*);
template void check_bytes<true>(std::size_t, std::size_t, const void*);

}  // namespace convolt::cuda_host
