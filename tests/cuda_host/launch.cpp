#include "launch.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "access.h"
#include "devices.h"
#include "fiber.h"
#include "include/cuda_host.h"
#include "report.h"
#include "streams.h"
#include "symbols.h"

namespace convolt::cuda_host {

// What the kernels know as threadIdx, blockIdx, blockDim and gridDim.
Index thread_index __asm__("convolt_cuda_host_thread_index");
Index block_index __asm__("convolt_cuda_host_block_index");
Index block_extent __asm__("convolt_cuda_host_block_extent");
Index grid_extent __asm__("convolt_cuda_host_grid_extent");

namespace {

constexpr int kMostThreads = 1024;

int64_t launches = 0;

// The kernel that runs: one at a time, under the lock of the library.
struct Run {
  const BoundKernel* kernel = nullptr;
  Fiber* fiber = nullptr;  // of the thread that runs
  bool abandoned = false;
};
Run run;
Access access{};  // phases go on from launch to launch

// The order in which blocks run, and the threads of a block between two barriers. What depends on
// it is a race, even one that the checks cannot see.
std::vector<unsigned> order_of(unsigned count) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0U);
  const char* const wish = std::getenv("CONVOLT_CUDA_HOST_ORDER");
  const std::string text = wish == nullptr ? "forward" : wish;
  if (text == "reverse") {
    std::reverse(order.begin(), order.end());
  } else if (text != "forward") {
    std::shuffle(order.begin(), order.end(), std::mt19937(std::stoul(text)));
  }
  return order;
}

// The threads of one block. A fiber runs thread after thread, until one stops at a barrier: the
// fiber is that thread's from then on, and another one goes on with the next. Without barriers one
// fiber is enough.
class Block {
 public:
  explicit Block(unsigned threads) : order_(order_of(threads)), fibers_(threads) {}

  void run_all() {
    begun_ = 0;
    current_ = this;
    while (begun_ < order_.size() && !run.abandoned) {
      Fiber* const fiber = take();
      fiber->prepare([] { current_->begin_threads(); });
      resume(fiber);
    }
    while (!run.abandoned) {
      const auto waiting = static_cast<std::size_t>(
          std::count_if(fibers_.begin(), fibers_.end(), [](Fiber* f) { return f != nullptr; }));
      if (waiting == 0) return;
      if (waiting < order_.size()) complain(waiting);
      begin_phase(access);
      leave_barrier();
    }
    for (Fiber*& fiber : fibers_) {
      if (fiber != nullptr) spare().push_back(std::exchange(fiber, nullptr));
    }
  }

 private:
  // On a fiber.
  void begin_threads() {
    while (begun_ < order_.size()) {
      const unsigned thread = order_[begun_++];
      fibers_[thread] = run.fiber;
      enter(thread, run.fiber);
      run.kernel->run();
      fibers_[thread] = nullptr;
    }
  }

  void leave_barrier() {
    for (const unsigned thread : order_) {
      if (run.abandoned) return;
      enter(thread, fibers_[thread]);
      resume(fibers_[thread]);
    }
  }

  static void enter(unsigned thread, const Fiber* fiber) {
    thread_index.x = thread;
    set_thread(access, thread, fiber->stack());
  }

  static void resume(Fiber* fiber) {
    run.fiber = fiber;
    current_access = &access;
    fiber->resume();
    current_access = nullptr;
    if (fiber->ended()) spare().push_back(fiber);
  }

  void complain(std::size_t waiting) {
    run.abandoned = true;
    const auto ended = [this](unsigned thread) { return fibers_[thread] == nullptr; };
    thread_index.x = *std::find_if(order_.begin(), order_.end(), ended);
    note_kernel_fault(cudaErrorLaunchFailure,
                      "the thread has ended, while " + std::to_string(waiting) + " of " +
                          std::to_string(order_.size()) +
                          " threads wait at a barrier that all have to reach");
  }

  static Fiber* take() {
    if (spare().empty()) return new Fiber;
    Fiber* const fiber = spare().back();
    spare().pop_back();
    return fiber;
  }
  // At most kMostThreads of them exist, for good.
  static std::vector<Fiber*>& spare() {
    static std::vector<Fiber*> fibers;
    return fibers;
  }

  std::vector<unsigned> order_;
  std::vector<Fiber*> fibers_;  // of the threads that wait; null before them and after the end
  std::size_t begun_ = 0;
  static Block* current_;
};

Block* Block::current_ = nullptr;

// To its end or to its first fault.
void run_kernel(int device, unsigned blocks, unsigned threads, const BoundKernel& kernel) {
  run = {&kernel, nullptr, false};
  block_extent.x = threads;
  grid_extent.x = blocks;
  begin_launch(access, device, kernel);
  const OpenMemory open;
  Block block(threads);
  for (const unsigned index : order_of(blocks)) {
    block_index.x = index;
    begin_block(access, index);
    block.run_all();
    if (run.abandoned) break;
  }
  run = {};
}

}  // namespace

void note_kernel_fault(cudaError code, const std::string& text) {
  report_asynchronous(code, function_name(run.kernel->function) + ": block " +
                                std::to_string(block_index.x) + ", thread " +
                                std::to_string(thread_index.x) + ": " + text);
}

void kernel_fault(cudaError code, const std::string& text) {
  note_kernel_fault(code, text);
  run.abandoned = true;
  run.fiber->suspend();
  std::abort();  // nobody resumes an abandoned thread
}

cudaError_t launch(const cudaLaunchConfig_t& config,
                   const std::shared_ptr<const BoundKernel>& kernel) {
  const Call call("cudaLaunchKernelEx");
  if (call.fails()) return call.result(cudaErrorUnknown);
  const auto flat = [](const dim3& extent) { return extent.y == 1 && extent.z == 1; };
  const unsigned blocks = config.gridDim.x;
  const unsigned threads = config.blockDim.x;
  // Shared memory is declared with its size: there is nothing that a launch could add.
  if (!flat(config.gridDim) || !flat(config.blockDim) || blocks == 0 || blocks > 2147483647U ||
      threads == 0 || threads > unsigned{kMostThreads} || config.dynamicSmemBytes != 0) {
    return call.result(cudaErrorInvalidConfiguration);
  }
  if (shared_bytes(kernel->function) > kMostSharedBytes) {
    return call.result(cudaErrorInvalidConfiguration);
  }
  if (device_of(config.stream) != current_device()) {
    return call.result(cudaErrorInvalidResourceHandle);
  }
  ++launches;
  return call.result_of_work(enqueue(config.stream, [blocks, threads, kernel](int device) {
    run_kernel(device, blocks, threads, *kernel);
  }));
}

cudaError_t function_attributes(cudaFuncAttributes* attributes, const void* function) {
  const Call call("cudaFuncGetAttributes");
  if (call.fails()) return call.result(cudaErrorUnknown);
  *attributes = {shared_bytes(function), 0, kMostThreads, 0};
  return call.result(cudaSuccess);
}

int64_t launch_count() {
  const std::lock_guard<std::recursive_mutex> lock(library_mutex());
  return launches;
}

}  // namespace convolt::cuda_host

void __syncthreads() { convolt::cuda_host::run.fiber->suspend(); }
