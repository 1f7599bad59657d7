#include "launch.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "access.h"
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

// The threads of one block, each on a fiber from its first step to its end. Fibers of threads that
// have ended serve the next ones: without barriers one is enough.
class Block {
 public:
  explicit Block(unsigned threads) : order_(order_of(threads)), fibers_(threads) {}

  void run_all() {
    for (int64_t barriers = 0;; ++barriers) {
      if (barriers > 0) begin_phase(access);
      const unsigned waiting = run_to_barrier(barriers == 0);
      if (run.abandoned || waiting == 0) break;
      if (waiting < order_.size()) {
        complain(waiting);
        break;
      }
    }
    for (Fiber*& fiber : fibers_) give_back(fiber);
  }

 private:
  // How many threads have come to the barrier.
  unsigned run_to_barrier(bool first) {
    unsigned waiting = 0;
    for (const unsigned thread : order_) {
      Fiber*& fiber = fibers_[thread];
      if (first) {
        fiber = take();
        fiber->prepare([] { run.kernel->run(); });
      }
      thread_index.x = thread;
      run.fiber = fiber;
      set_thread(access, thread, fiber->stack());
      current_access = &access;
      fiber->resume();
      current_access = nullptr;
      if (run.abandoned) return 0;
      if (fiber->ended()) {
        give_back(fiber);
      } else {
        ++waiting;
      }
    }
    return waiting;
  }

  void complain(unsigned waiting) {
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
  static void give_back(Fiber*& fiber) {
    if (fiber != nullptr) spare().push_back(std::exchange(fiber, nullptr));
  }
  // At most kMostThreads of them exist, for good.
  static std::vector<Fiber*>& spare() {
    static std::vector<Fiber*> fibers;
    return fibers;
  }

  std::vector<unsigned> order_;
  std::vector<Fiber*> fibers_;  // null: ended
};

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

void run_kernel(int device, unsigned blocks, unsigned threads, const BoundKernel& kernel) {
  run = {&kernel, nullptr, false};
  block_extent.x = threads;
  grid_extent.x = blocks;
  begin_launch(access, device, kernel);
  Block block(threads);
  for (const unsigned index : order_of(blocks)) {
    block_index.x = index;
    begin_block(access, index);
    block.run_all();
    if (run.abandoned) break;
  }
  run = {};
}

cudaError_t launch(const cudaLaunchConfig_t& config, std::shared_ptr<const BoundKernel> kernel) {
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
