// What the engine promises beyond numbers: exceptions and interrupts leave a parallel region in
// order, and scratch is one arena.
#pragma once

#include <atomic>

#include "check.h"
#include "parallel.h"
#include "workspace.h"

namespace convolt::selftest {

inline void check_exceptions(int threads) {
  report.begin("parallel_for on " + std::to_string(threads) + " threads");
  std::atomic<int64_t> sum{0};
  parallel_for(100, threads,
               [&](int64_t task, int thread) { sum += thread < threads ? task : 1000000; });
  report.expect(sum == 4950, "each task must run once, on a thread of the team");

  std::string message;
  try {
    parallel_for(100, threads, [](int64_t task, int) {
      if (task == 42) throw std::invalid_argument("task 42");
    });
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  report.expect(message == "task 42", "the exception of a task must arrive, got '" + message + "'");
}

inline void check_interrupt(int threads) {
  report.begin("interrupt on " + std::to_string(threads) + " threads");
  set_interrupt_check([] { return true; });
  bool interrupted = false;
  try {
    // Endless, but for the interrupt.
    parallel_for(threads, threads, [](int64_t, int) {
      while (!stop_requested()) {
      }
    });
  } catch (const Interrupted&) {
    interrupted = true;
  }
  set_interrupt_check(nullptr);
  report.expect(interrupted, "the region must end with Interrupted");
  report.expect(!stop_requested(), "the stop must end with its region");
}

inline void check_scratch() {
  report.begin("scratch");
  release_memory();
  const int64_t before = scratch_bytes();
  {
    const Scratch outer(1000);
    const Scratch inner(500);  // as in a signal handler that convolves
    report.expect(outer.data() + 1000 <= inner.data() || inner.data() + 500 <= outer.data(),
                  "two blocks in use must not overlap");
    report.expect(reinterpret_cast<std::uintptr_t>(outer.data()) % kCacheLine == 0,
                  "scratch must be aligned");
  }
  report.expect(scratch_bytes() == before + 1000, "only the arena is kept");
  release_memory();
  report.expect(scratch_bytes() == before, "release_memory must give the arena back");
  {
    const Scratch large(kRetainedScratchBytes + 1);
  }
  report.expect(scratch_bytes() == before, "a large arena must be given back");
}

inline void check_engine() {
  for (const int threads : {1, 3}) {
    check_exceptions(threads);
    check_interrupt(threads);
  }
  check_scratch();
}

}  // namespace convolt::selftest
