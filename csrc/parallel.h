// parallel_for over OpenMP, or serial: the rest of the library knows nothing else of threads.
#pragma once

#include <cstdint>
#include <exception>
#include <type_traits>

namespace convolt {

// Threads that a call from this thread may use: limit_threads() of this thread, else
// set_num_threads() of the process, else what OpenMP (OMP_NUM_THREADS, threadpoolctl) and the CPU
// affinity allow. threadpoolctl can lower each of these. 1 inside a parallel region, and in a
// process that was forked from one that had used threads: libgomp would wait for ever there.
int num_threads();

void set_num_threads(int threads);  // 0: back to the default
void limit_threads(int threads);    // of the calling thread; 0: no limit of its own
int thread_limit();

// num_threads(), or fewer where the work, in floating-point operations or the like, is too small
// for so many: starting a team costs microseconds.
int threads_for(double operations);

// The threads of all calls that run now. A call that begins gets what they leave of num_threads(),
// but at least one.
int busy_threads();

bool has_openmp();

// A long call asks this, every 50 ms, on the thread that called, whether to give up; the bindings
// set it to a check for Ctrl-C. parallel_for then throws Interrupted.
using InterruptCheck = bool (*)();
void set_interrupt_check(InterruptCheck check);
void restart_interrupt_clock();

struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

// True when the region that runs on this thread is to end early, by an interrupt or by an exception
// in another thread. Tasks that may take more than some 100 ms poll it and return.
bool stop_requested();

void parallel_for_erased(int64_t tasks, int threads, void (*body)(void*, int64_t, int),
                         void* context);

// Calls body(task, thread) for task in [0, tasks), thread in [0, threads), in no particular order.
// The first exception of a task ends the region and is thrown on from here.
template <typename Body>
void parallel_for(int64_t tasks, int threads, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  parallel_for_erased(
      tasks, threads,
      [](void* context, int64_t task, int thread) {
        (*static_cast<Plain*>(context))(task, thread);
      },
      const_cast<std::remove_const_t<Plain>*>(&body));
}

}  // namespace convolt
