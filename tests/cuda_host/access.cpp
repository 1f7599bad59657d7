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

// The cells of the shared array that holds the address, or null.
Cell* shared_cells(Access& access, std::size_t address, std::size_t bytes) {
  for (SharedShadow& shadow : access.shared) {
    const SharedArray& array = *shadow.array;
    const std::size_t offset = address - array.begin;
    if (offset < array.bytes && bytes <= array.bytes - offset) {
      return &shadow.cells[address / kWordBytes - array.begin / kWordBytes];
    }
  }
  return nullptr;
}

std::string describe_in_kernel(const Access& access, std::size_t address) {
  for (const SharedShadow& shadow : access.shared) {
    const SharedArray& array = *shadow.array;
    // Behind its end are other variables of the host's, which no kernel knows.
    const std::size_t offset = address - array.begin;
    if (offset < array.bytes + kMostSharedBytes) {
      const std::string name = "the shared array " + array.name;
      return offset < array.bytes
                 ? "byte " + std::to_string(offset) + " of " + name
                 : std::to_string(offset - array.bytes) + " bytes behind the end of " + name;
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
    const SharedArray& array = *shadow.array;
    if (site.address - array.begin < array.bytes) bad = array.begin + array.bytes;
  }
  kernel_fault(cudaErrorIllegalAddress, site.text() + describe_in_kernel(access, bad));
}

[[noreturn]] void misaligned(const Access& access, const Site& site) {
  kernel_fault(cudaErrorMisalignedAddress,
               site.text() + "misaligned, " + describe_in_kernel(access, site.address));
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

[[noreturn]] void race(const Access& access, const std::string& other, const Site& site) {
  kernel_fault(cudaErrorLaunchFailure, site.text() + "race with " + other + ": " +
                                           describe_in_kernel(access, site.address));
}

std::string writer(const Access& access, uint64_t stamp, const char* what) {
  const auto later = std::upper_bound(
      access.blocks.begin(), access.blocks.end(), phase_of(stamp),
      [](uint64_t phase, const Access::Beginning& block) { return phase < block.phase; });
  return "block " + std::to_string(std::prev(later)->block) + ", thread " +
         std::to_string(thread_of(stamp)) + ", which has " + what + " it";
}

// Whether the thread of the stamp is another one, and nothing orders it before this one.
bool races(const Access& access, uint64_t stamp) {
  const uint64_t phase = phase_of(stamp);
  if (phase < access.launch_begin) return false;
  if (phase < access.block_begin) return true;  // another block
  return phase == phase_of(access.now) && thread_of(stamp) != thread_of(access.now);
}

void check_readers(const Access& access, const Cell& cell, unsigned mask, const Site& site) {
  if (phase_of(cell.read) < access.launch_begin) return;
  if ((cell.read_by_blocks() & mask) != 0) {
    race(access, "another block, which has read it", site);
  }
  if ((cell.read_by_thread() & mask) != 0 && races(access, cell.read)) {
    race(access, writer(access, cell.read, "read"), site);
  }
  // Others than the thread of the stamp: certain only where that is this one.
  if ((cell.read_by_threads() & mask) != 0 && phase_of(cell.read) == phase_of(access.now) &&
      thread_of(cell.read) == thread_of(access.now)) {
    race(access, "another thread, which has read it", site);
  }
}

void note_read(const Access& access, Cell& cell, unsigned mask) {
  const uint64_t bytes = mask;
  if (phase_of(cell.read) == phase_of(access.now)) {
    const bool same = thread_of(cell.read) == thread_of(access.now);
    cell.read |= same ? bytes << Cell::kOwnShift : bytes;
    return;
  }
  uint64_t by_blocks = 0;
  if (phase_of(cell.read) >= access.launch_begin) {
    by_blocks = cell.read_by_blocks();
    if (cell.read < access.block_begin) {
      by_blocks |= cell.read_by_thread() | cell.read_by_threads();
    }
  }
  cell.read = access.now | bytes << Cell::kOwnShift | by_blocks << Cell::kOtherBlocksShift;
}

void note_write(const Access& access, Cell& cell, unsigned mask) {
  const bool same = cell.write >> kThreadShift == access.now >> kThreadShift;
  const uint64_t bytes = same ? mask | cell.written() : mask;
  const uint64_t allocated_and_valued = cell.write & 0xFF;
  cell.write = access.now | allocated_and_valued |
               static_cast<uint64_t>(mask) << Cell::kValueShift | bytes << Cell::kOwnShift;
}

// The bytes `mask` of a word at `address`.
template <bool kWrites>
inline void touch(Access& access, Cell& cell, unsigned mask, std::size_t address,
                  const Site& site) {
  const unsigned there = kWrites ? cell.allocated() : cell.allocated() & cell.valued();
  if ((there & mask) != mask) missing(access, cell, mask, address, site);
  if (cell.write >= access.launch_begin && (cell.written() & mask) != 0 &&
      races(access, cell.write)) {
    race(access, writer(access, cell.write, "written"), site);
  }
  if constexpr (kWrites) {
    check_readers(access, cell, mask, site);
    note_write(access, cell, mask);
  } else {
    note_read(access, cell, mask);
  }
}

void check_host(const Site& site) {
  if (!all_device_memory.contains(site.address)) return;
  report("host code " + site.text() + describe(site.address));
}

// Where no cell is: the thread's own memory, or a mistake.
void check_private(const Access& access, const Site& site) {
  const AddressRange& range = access.stack.contains(site.address) ? access.stack : access.arguments;
  if (range.contains(site.address) && (!site.writes || &range == &access.stack)) return;
  illegal(access, site);
}

// Null for what is neither device memory nor shared.
inline Cell* find_cells(Access& access, std::size_t address, std::size_t bytes) {
  if (access.memory.contains(address)) return cells_at(address);
  if (access.stack.contains(address)) return nullptr;
  return shared_cells(access, address, bytes);
}

}  // namespace

void begin_launch(Access& access, int device, const BoundKernel& kernel) {
  access.memory = device_range(device);
  access.arguments = {reinterpret_cast<std::size_t>(&kernel), kernel.bytes};
  access.shared.clear();
  for (const SharedArray& array : shared_arrays(kernel.function)) {
    // A word more, as the array may begin in the middle of one.
    access.shared.push_back({&array, std::vector<Cell>(array.bytes / kWordBytes + 2)});
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
    std::memset(reinterpret_cast<void*>(shadow.array->begin), 0xFF, shadow.array->bytes);
    Cell fresh{};
    fresh.allocate(kWholeWord);
    std::fill(shadow.cells.begin(), shadow.cells.end(), fresh);
  }
}

void begin_phase(Access& access) { access.now = phase_of(access.now) + kPhase; }

void set_thread(Access& access, unsigned thread, AddressRange stack) {
  access.now = phase_of(access.now) | static_cast<uint64_t>(thread) << kThreadShift;
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
  if (address % kBytes != 0) misaligned(*access, site);
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
