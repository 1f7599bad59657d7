// What is known of each byte of device memory and of shared memory: a cell for each word of four
// bytes. A set of the word's bytes is a mask of four bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace convolt::cuda_host {

struct AddressRange {
  std::size_t begin, bytes;
  bool contains(std::size_t address) const { return address - begin < bytes; }
};

constexpr std::size_t kWordBytes = 4;
constexpr unsigned kWholeWord = 0xF;

// A stamp says when and by which thread: the phase in the upper 42 bits, the thread in the ten
// below. A new phase begins with each launch, each block and each barrier, so that a phase belongs
// to one block between two barriers, and stamps of later phases are larger.
constexpr int kThreadShift = 12;
constexpr int kPhaseShift = 22;
constexpr uint64_t kPhase = uint64_t{1} << kPhaseShift;
constexpr uint64_t phase_of(uint64_t stamp) { return stamp & ~(kPhase - 1); }
constexpr unsigned thread_of(uint64_t stamp) { return (stamp >> kThreadShift) & 1023U; }

// Below the stamps of both words are three masks.
struct Cell {
  // Of the latest write: bits 0 to 3 the bytes that are allocated, 4 to 7 those that hold a value,
  // 8 to 11 those that the thread of the stamp wrote in its phase. Where threads write bytes of
  // one word in turn, only the latest is known: a race may be missed then, but none is invented.
  uint64_t write;
  // Of a read in the latest phase with one: bits 8 to 11 the bytes that the thread of the stamp
  // read, 0 to 3 those that other threads read in the same phase, 4 to 7 those that other blocks
  // of the same launch read.
  uint64_t read;

  static constexpr int kValueShift = 4;
  static constexpr int kOtherBlocksShift = 4;
  static constexpr int kOwnShift = 8;

  unsigned allocated() const { return write & kWholeWord; }
  unsigned valued() const { return (write >> kValueShift) & kWholeWord; }
  unsigned written() const { return (write >> kOwnShift) & kWholeWord; }
  unsigned read_by_thread() const { return (read >> kOwnShift) & kWholeWord; }
  unsigned read_by_threads() const { return read & kWholeWord; }
  unsigned read_by_blocks() const { return (read >> kOtherBlocksShift) & kWholeWord; }

  // Allocated and without a value, or not allocated at all.
  void allocate(unsigned bytes) { *this = {bytes, 0}; }
  // A value from outside of any kernel, or none.
  void set_valued(unsigned bytes, bool valued) {
    const uint64_t mask = static_cast<uint64_t>(bytes) << kValueShift;
    write = valued ? write | mask : write & ~mask;
  }
};

// Calls visit(index, mask) for each word that holds some of the `bytes` bytes from `address` on,
// index 0 being the word of address 0.
template <typename Visit>
void for_each_word(std::size_t address, std::size_t bytes, const Visit& visit) {
  const std::size_t end = address + bytes;
  while (address < end) {
    const std::size_t in_word = address % kWordBytes;
    const std::size_t left = kWordBytes - in_word;
    const std::size_t taken = left < end - address ? left : end - address;
    visit(address / kWordBytes, ((1U << taken) - 1U) << in_word);
    address += taken;
  }
}

}  // namespace convolt::cuda_host
