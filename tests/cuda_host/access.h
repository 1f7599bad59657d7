// The rules of memory for kernels, access by access: allocated, of this device, aligned, written
// before it is read, and no race. Two accesses race if one of them writes and they are of
// different blocks of a launch, or of different threads of a block with no barrier between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "device_memory.h"
#include "include/cuda_runtime.h"
#include "shadow.h"
#include "symbols.h"

namespace convolt::cuda_host {

struct SharedShadow {
  const SharedArray* array;
  AddressRange range;
  std::vector<Cell> cells;  // the first holds the first byte
};

// What the kernel that runs may touch, and the time for its stamps.
struct Access {
  AddressRange memory;  // of its device
  Cell* memory_cells;
  AddressRange stack;      // of the thread that runs
  AddressRange arguments;  // of the kernel
  std::vector<SharedShadow> shared;
  Stamp launch_begin;  // the phase in which the launch began
  Stamp block_begin;
  Stamp now;  // of the thread that runs

  // Which block began in which phase, for the reports of races.
  struct Beginning {
    Stamp phase;
    unsigned block;
  };
  std::vector<Beginning> blocks;
};

// The kernel that runs on this OS thread; null outside of kernels.
extern thread_local Access* current_access __attribute__((tls_model("initial-exec")));

// For the kernel about to run. The stand-in runs one at a time.
void begin_launch(Access& access, int device, const BoundKernel& kernel);
// Nothing of shared memory survives the block before.
void begin_block(Access& access, unsigned block);
void begin_phase(Access& access);
void set_thread(Access& access, unsigned thread, AddressRange stack);

// An access by code that the compiler has instrumented, in a kernel or not, of any number of bytes;
// `code` is where, for the report. The aligned ones are of a power of two, and are aligned: the
// compiler has put a check of that before them.
template <std::size_t kBytes, bool kWrites>
void check_aligned(std::size_t address, const void* code);
template <bool kWrites>
void check_bytes(std::size_t address, std::size_t bytes, const void* code);

}  // namespace convolt::cuda_host
