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

// When and by which thread: the phase in the upper 38 bits, the thread in the ten below. A new
// phase begins with each launch, each block and each barrier, so that a phase belongs to one block
// between two barriers, and stamps of later phases are larger.
using Stamp = uint64_t;
constexpr int kThreadShift = 16;
constexpr int kPhaseShift = 26;
constexpr Stamp kPhase = Stamp{1} << kPhaseShift;
constexpr Stamp phase_of(Stamp stamp) { return stamp & ~(kPhase - 1); }
constexpr unsigned thread_of(Stamp stamp) { return (stamp >> kThreadShift) & 1023U; }

// The latest reads of a word, or the latest writes to it, and four bits for a state of its bytes.
// A thread runs from barrier to barrier without a break, and a block to its end: whoever is not the
// thread of the stamp has come before it, and will not come again in its phase.
class Record {
 public:
  unsigned state() const { return mask(0); }
  unsigned by_thread() const { return mask(4); }   // of the stamp, in its phase
  unsigned by_threads() const { return mask(8); }  // others, in the same phase
  // Others, in the same launch; where a block has come to bytes of one word in several phases, in
  // the last of them only.
  unsigned by_blocks() const { return mask(12); }
  Stamp phase() const { return phase_of(bits_); }
  unsigned thread() const { return thread_of(bits_); }

  void set_state(unsigned bytes) { bits_ = (bits_ & ~uint64_t{kWholeWord}) | bytes; }
  void set(Stamp stamp, unsigned by_thread, unsigned by_threads, unsigned by_blocks) {
    bits_ = stamp | uint64_t{by_blocks} << 12 | uint64_t{by_threads} << 8 |
            uint64_t{by_thread} << 4 | state();
  }

 private:
  unsigned mask(int shift) const { return static_cast<unsigned>(bits_ >> shift) & kWholeWord; }

  uint64_t bits_;
};

struct Cell {
  Record writes;  // its state: the bytes that hold a value
  Record reads;   // its state: the bytes that are allocated

  unsigned valued() const { return writes.state(); }
  unsigned allocated() const { return reads.state(); }

  // Allocated and without a value, or not allocated at all.
  void allocate(unsigned bytes) {
    *this = {};
    reads.set_state(bytes);
  }
  // A value from outside of any kernel, or none.
  void set_valued(unsigned bytes, bool valued) {
    writes.set_state(valued ? writes.state() | bytes : writes.state() & ~bytes);
  }
};

// Calls visit(index, mask) for each word that holds some of the `bytes` bytes from `address` on,
// index 0 being the word of address 0.
template <typename Visit>
void for_each_word(std::size_t address, std::size_t bytes, const Visit& visit) {
  const std::size_t end = address + bytes;
  const auto part = [&visit, &address](std::size_t count) {
    visit(address / kWordBytes, ((1U << count) - 1U) << address % kWordBytes);
    address += count;
  };
  if (address % kWordBytes != 0) {
    const std::size_t left = kWordBytes - address % kWordBytes;
    part(left < bytes ? left : bytes);
  }
  // As a loop that compilers vectorize.
  for (; address + kWordBytes <= end; address += kWordBytes) {
    visit(address / kWordBytes, kWholeWord);
  }
  if (address < end) part(end - address);
}

}  // namespace convolt::cuda_host
