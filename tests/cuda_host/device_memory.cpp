#include "device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "devices.h"

namespace convolt::cuda_host {

AddressRange all_device_memory{};

namespace {

constexpr std::size_t kDeviceSpan = std::size_t{8} << 30;
constexpr std::size_t kAlignment = 256;  // as cudaMalloc has it
// Between allocations, where nobody may read or write.
constexpr std::size_t kGap = 256;
// Freed memory of a device that is kept out of use, and from which size on pages go back at once.
constexpr std::size_t kQuarantineBytes = std::size_t{16} << 20;
constexpr std::size_t kLargeBytes = std::size_t{4} << 20;

struct Allocation {
  std::size_t bytes;
  std::size_t room;  // with the gap behind it
  int device;
  bool given_up = false;
  // Where the stream has come to.
  bool begun = false;
  bool ended = false;
};

bool locks() {
  static const bool wanted = setting("CONVOLT_CUDA_HOST_LOCK", 0) != 0;
  return wanted;
}
int openings = 0;

char* reserve_addresses(std::size_t bytes, int protection) {
  void* const memory =
      mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, bytes, MADV_DONTDUMP);
  return static_cast<char*>(memory);
}

void return_pages(void* begin, std::size_t bytes) {
  constexpr std::size_t kPage = std::size_t{64} << 10;  // as large as any platform's
  void* first = begin;
  std::size_t left = bytes;
  if (std::align(kPage, kPage, first, left) == nullptr) return;
  madvise(first, left / kPage * kPage, MADV_DONTNEED);
}

// The allocations of one device, freed ones included until their addresses are used again.
struct Heap {
  std::size_t top;  // addresses from here on were never used
  std::size_t used_bytes = 0;
  std::deque<std::size_t> quarantine;
  std::size_t quarantined_bytes = 0;
  std::map<std::size_t, std::vector<std::size_t>> free;  // by room
};

struct Memory {
  char* data = nullptr;
  AddressRange range;  // of the data
  Cell* shadow = nullptr;
  std::vector<Heap> heaps;
  std::map<std::size_t, Allocation> allocations;  // by address
  int64_t live = 0;

  Memory() {
    const auto devices = static_cast<std::size_t>(count_devices());
    range = {0, devices * kDeviceSpan};
    if (devices == 0) return;
    constexpr int kOpen = PROT_READ | PROT_WRITE;
    data = reserve_addresses(range.bytes, locks() ? PROT_NONE : kOpen);
    range.begin = reinterpret_cast<std::size_t>(data);
    all_device_memory = range;
    shadow =
        reinterpret_cast<Cell*>(reserve_addresses(range.bytes / kWordBytes * sizeof(Cell), kOpen));
    for (std::size_t i = 0; i < devices; ++i) {
      heaps.push_back({});
      heaps.back().top = range.begin + i * kDeviceSpan + kGap;
    }
  }
};

Memory& memory() {
  static Memory instance;
  return instance;
}

void protect(int protection) {
  if (mprotect(memory().data, memory().range.bytes, protection) != 0) std::abort();
}

// Few different ones, so that addresses are used again: eight from each power of two to the next.
std::size_t room_for(std::size_t bytes) {
  std::size_t step = kAlignment;
  while (step * 16 <= bytes) step *= 2;
  return (bytes + step - 1) / step * step + kGap;
}

Allocation* find(std::size_t address) {
  auto& allocations = memory().allocations;
  const auto found = allocations.find(address);
  return found == allocations.end() ? nullptr : &found->second;
}

// The last allocation that begins at the address or before it, freed or not.
const std::pair<const std::size_t, Allocation>* last_before(std::size_t address) {
  const auto& allocations = memory().allocations;
  const auto next = allocations.upper_bound(address);
  return next == allocations.begin() ? nullptr : &*std::prev(next);
}

void forget_oldest(Heap& heap) {
  const std::size_t address = heap.quarantine.front();
  heap.quarantine.pop_front();
  const auto found = memory().allocations.find(address);
  heap.quarantined_bytes -= found->second.room;
  heap.free[found->second.room].push_back(address);
  memory().allocations.erase(found);
}

std::string fault(const void* address, std::size_t bytes, bool reading) {
  const auto begin = reinterpret_cast<std::size_t>(address);
  if (bytes == 0) return {};
  const AddressRange& range = memory().range;
  const std::size_t end = begin + bytes;
  if (!range.contains(begin) || !range.contains(end - 1)) return describe(begin);
  const Cell* const cells = cells_at(begin) - begin / kWordBytes;
  std::size_t bad = end;
  for_each_word(begin, bytes, [&](std::size_t index, unsigned mask) {
    const Cell& cell = cells[index];
    const unsigned there = reading ? cell.allocated() & cell.valued() : cell.allocated();
    if ((there & mask) == mask || bad != end) return;
    bad = std::max(begin, index * kWordBytes);
    while ((there >> bad % kWordBytes & 1U) != 0) ++bad;
  });
  if (bad == end) return {};
  const bool allocated = (cells[bad / kWordBytes].allocated() >> bad % kWordBytes & 1U) != 0;
  return describe(bad) + (allocated ? ", which nobody has written" : "");
}

}  // namespace

// The pages of all of it are gone through: tens of microseconds for each MiB in use.
OpenMemory::OpenMemory() {
  if (locks() && openings++ == 0) protect(PROT_READ | PROT_WRITE);
}
OpenMemory::~OpenMemory() {
  if (locks() && --openings == 0) protect(PROT_NONE);
}

AddressRange device_range(int device) {
  return {memory().range.begin + static_cast<std::size_t>(device) * kDeviceSpan, kDeviceSpan};
}

Cell* cells_at(std::size_t address) {
  return memory().shadow + (address - memory().range.begin) / kWordBytes;
}

void* reserve(int device, std::size_t bytes) {
  Heap& heap = memory().heaps[static_cast<std::size_t>(device)];
  const std::size_t limit = memory_of_device();
  if (heap.used_bytes > limit || bytes > limit - heap.used_bytes) return nullptr;
  const std::size_t room = room_for(bytes);
  std::size_t address = heap.top;
  auto& same = heap.free[room];
  if (!same.empty()) {
    address = same.back();
    same.pop_back();
  } else {
    const AddressRange range = device_range(device);
    if (room > range.begin + range.bytes - heap.top) return nullptr;
    heap.top += room;
  }
  heap.used_bytes += bytes;
  ++memory().live;
  memory().allocations[address] = {bytes, room, device};
  return memory().data + (address - memory().range.begin);
}

void begin_life(void* address) {
  const auto begin = reinterpret_cast<std::size_t>(address);
  Allocation* const allocation = find(begin);
  if (allocation == nullptr) return;  // whose end came before, and has been reported
  allocation->begun = true;
  Cell* const cells = cells_at(begin);
  for_each_word(0, allocation->bytes,
                [=](std::size_t i, unsigned mask) { cells[i].allocate(mask); });
}

void give_up(void* address) {
  const auto begin = reinterpret_cast<std::size_t>(address);
  Allocation* const allocation = find(begin);
  if (allocation == nullptr) throw std::invalid_argument("no allocation, but " + describe(begin));
  if (allocation->given_up) {
    throw std::invalid_argument("what has been freed before: " + describe(begin));
  }
  allocation->given_up = true;
  memory().heaps[static_cast<std::size_t>(allocation->device)].used_bytes -= allocation->bytes;
  --memory().live;
}

bool end_life(void* address) {
  const auto begin = reinterpret_cast<std::size_t>(address);
  Allocation& allocation = *find(begin);
  allocation.ended = true;
  Cell* const cells = cells_at(begin);
  for_each_word(0, allocation.bytes, [=](std::size_t i, unsigned) { cells[i].allocate(0); });
  if (allocation.bytes >= kLargeBytes) {
    return_pages(address, allocation.bytes);
    return_pages(cells, allocation.bytes / kWordBytes * sizeof(Cell));
  }
  const bool begun = allocation.begun;
  Heap& heap = memory().heaps[static_cast<std::size_t>(allocation.device)];
  heap.quarantine.push_back(begin);
  heap.quarantined_bytes += allocation.room;
  while (heap.quarantined_bytes > kQuarantineBytes) forget_oldest(heap);
  return begun;
}

std::string describe(std::size_t address) {
  if (!memory().range.contains(address)) return "host memory";
  const auto text = [](const Allocation& allocation) {
    return "an allocation of " + std::to_string(allocation.bytes) + " bytes";
  };
  const auto* const found = last_before(address);
  if (found == nullptr || address - found->first >= found->second.bytes) {
    const auto next = memory().allocations.upper_bound(address);
    const bool near_next = next != memory().allocations.end() && next->first - address <= kGap / 2;
    if (near_next) {
      return std::to_string(next->first - address) + " bytes before " + text(next->second);
    }
    if (found == nullptr) return "device memory that is not allocated";
    const std::size_t behind = address - found->first - found->second.bytes;
    return std::to_string(behind) + " bytes behind the end of " + text(found->second);
  }
  const auto& [begin, allocation] = *found;
  const std::size_t offset = address - begin;
  const std::string what = text(allocation);
  const std::string place = "byte " + std::to_string(offset) + " of " + what;
  if (allocation.ended) return place + " that has been freed";
  return allocation.begun ? place : place + " that its stream has not yet come to";
}

std::string fault_of_reading(const void* address, std::size_t bytes) {
  return fault(address, bytes, true);
}
std::string fault_of_writing(const void* address, std::size_t bytes) {
  return fault(address, bytes, false);
}

void mark_valued(void* address, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::size_t>(address);
  Cell* const cells = cells_at(begin) - begin / kWordBytes;
  for_each_word(begin, bytes,
                [=](std::size_t i, unsigned mask) { cells[i].set_valued(mask, true); });
}

void copy_valued(void* to, const void* from, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::size_t>(to);
  const auto source = reinterpret_cast<std::size_t>(from);
  for (std::size_t i = 0; i < bytes; ++i) {
    const unsigned values = cells_at(source + i)->valued() >> (source + i) % kWordBytes;
    cells_at(begin + i)->set_valued(1U << (begin + i) % kWordBytes, (values & 1U) != 0);
  }
}

int device_of_memory(const void* address) {
  const auto wanted = reinterpret_cast<std::size_t>(address);
  const auto* const found = last_before(wanted);
  if (found == nullptr || wanted - found->first >= found->second.bytes) return -1;
  return found->second.given_up ? -1 : found->second.device;
}

int64_t live_allocations() { return memory().live; }

std::size_t used_bytes(int device) {
  return memory().heaps[static_cast<std::size_t>(device)].used_bytes;
}

}  // namespace convolt::cuda_host
