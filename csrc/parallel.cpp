#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace convolt {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kInterruptInterval{50};

std::atomic<int> process_threads{0};
thread_local int own_thread_limit = 0;

std::atomic<InterruptCheck> interrupt_check{nullptr};
thread_local Clock::time_point next_interrupt_check{};

// What the threads of one parallel_for share.
struct Region {
  std::atomic<int64_t> next_task{0};
  std::atomic<bool> stop{false};
  std::atomic<bool> interrupted{false};
  std::exception_ptr error;
  std::mutex error_mutex;
};
// A region may run inside another: a signal handler that convolves.
thread_local Region* current_region = nullptr;
thread_local bool owns_region = false;

void poll_interrupt(Region& region) {
  const InterruptCheck check = interrupt_check.load(std::memory_order_relaxed);
  if (check == nullptr || Clock::now() < next_interrupt_check) return;
  if (check()) {
    region.interrupted = true;
    region.stop = true;
  }
  next_interrupt_check = Clock::now() + kInterruptInterval;
}

void run_tasks(Region& region, int64_t tasks, int thread, bool owner,
               void (*body)(void*, int64_t, int), void* context) {
  Region* const outer_region = current_region;
  const bool outer_owner = owns_region;
  current_region = &region;
  owns_region = owner;
  try {
    while (!stop_requested()) {
      const int64_t task = region.next_task.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks) break;
      body(context, task, thread);
    }
  } catch (...) {
    const std::lock_guard<std::mutex> lock(region.error_mutex);
    if (!region.error) region.error = std::current_exception();
    region.stop = true;
  }
  current_region = outer_region;
  owns_region = outer_owner;
}

#if defined(_OPENMP)
std::atomic<bool> forked_from_threads{false};

void note_threads_for_fork() {
#if defined(__unix__) || defined(__APPLE__)
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { forked_from_threads = true; });
  static_cast<void>(registered);
#endif
}

// The threads of a region, at most `wanted`: 1 where OpenMP must not be entered, and what can be
// started. libgomp ends the whole process where it cannot start a thread, for want of memory say,
// so those that it is about to start are tried first. It keeps the threads of the last team and no
// others.
int team_size(int wanted) {
  thread_local int last_team = 1;
  if (wanted <= 1 || omp_in_parallel() != 0 || forked_from_threads) return 1;
  if (wanted > last_team) {
    std::vector<std::thread> trials;
    trials.reserve(static_cast<std::size_t>(wanted));
    std::mutex gate;
    std::unique_lock<std::mutex> closed(gate);  // all of them have to exist at the same time
    try {
      for (int i = last_team; i < wanted; ++i) {
        trials.emplace_back([&gate] { const std::lock_guard<std::mutex> pass(gate); });
      }
    } catch (const std::exception&) {
      wanted = last_team + static_cast<int>(trials.size());
    }
    closed.unlock();
    for (std::thread& trial : trials) trial.join();
  }
  last_team = wanted;
  return wanted;
}

// The threads of all regions that run now.
std::atomic<int> threads_in_use{0};

// The threads that a region takes from those that the process may use, for its lifetime: calls from
// many threads of the caller's would otherwise bring a team each. One is always granted, and what
// limit_threads() asked for in so many words.
class Reservation {
 public:
  explicit Reservation(int wanted) {
    const bool asked = own_thread_limit > 0;
    const int limit = wanted > 1 ? num_threads() : 1;
    int used = threads_in_use.load(std::memory_order_relaxed);
    do {
      threads = asked ? wanted : std::min(wanted, std::max(limit - used, 1));
    } while (!threads_in_use.compare_exchange_weak(used, used + threads));
  }
  ~Reservation() { threads_in_use -= threads; }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  int threads;
};

// What OpenMP allowed when the library was loaded. A lower figure later is somebody's limit
// (threadpoolctl), which also holds for a number of threads that was set here.
const int initial_omp_threads = omp_get_max_threads();
#endif

}  // namespace

int busy_threads() {
#if defined(_OPENMP)
  return threads_in_use;
#else
  return 0;
#endif
}

bool has_openmp() {
#if defined(_OPENMP)
  return true;
#else
  return false;
#endif
}

int num_threads() {
#if defined(_OPENMP)
  if (omp_in_parallel() != 0 || forked_from_threads) return 1;
  const int omp_threads = omp_get_max_threads();
  const bool limited = omp_threads < initial_omp_threads;
  const int wanted =
      own_thread_limit > 0 ? own_thread_limit : process_threads.load(std::memory_order_relaxed);
  if (wanted > 0) return limited ? std::min(wanted, omp_threads) : wanted;
  // OpenMP's default counts the CPUs at start-up; the affinity may have shrunk since.
  const bool is_default =
      omp_threads == initial_omp_threads && std::getenv("OMP_NUM_THREADS") == nullptr;
  return is_default ? std::min(omp_threads, omp_get_num_procs()) : omp_threads;
#else
  return 1;
#endif
}

int threads_for(double operations) {
  constexpr double kOperationsPerThread = 1e6;
  if (operations < 2 * kOperationsPerThread) return 1;
  return static_cast<int>(std::min<double>(num_threads(), operations / kOperationsPerThread));
}

void set_num_threads(int threads) { process_threads = threads; }
void limit_threads(int threads) { own_thread_limit = threads; }
int thread_limit() { return own_thread_limit; }

void set_interrupt_check(InterruptCheck check) { interrupt_check = check; }
void restart_interrupt_clock() { next_interrupt_check = Clock::now() + kInterruptInterval; }

bool stop_requested() {
  if (current_region == nullptr) return false;
  if (owns_region) poll_interrupt(*current_region);
  return current_region->stop.load(std::memory_order_relaxed);
}

void parallel_for_erased(int64_t tasks, int threads, void (*body)(void*, int64_t, int),
                         void* context) {
  Region region;
#if defined(_OPENMP)
  const Reservation reserved(static_cast<int>(std::clamp<int64_t>(tasks, 1, threads)));
  const int team = team_size(reserved.threads);
  if (team > 1) {
    note_threads_for_fork();
#pragma omp parallel num_threads(team)
    {
      const int thread = omp_get_thread_num();
      run_tasks(region, tasks, thread, thread == 0, body, context);
    }
  } else {
    run_tasks(region, tasks, 0, true, body, context);
  }
#else
  static_cast<void>(threads);
  run_tasks(region, tasks, 0, true, body, context);
#endif
  if (region.error) std::rethrow_exception(region.error);
  if (region.interrupted) throw Interrupted();
}

}  // namespace convolt
