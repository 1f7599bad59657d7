#include "streams.h"

#include <chrono>
#include <deque>
#include <memory>
#include <utility>

#include "devices.h"
#include "objects.h"
#include "report.h"

namespace convolt::cuda_host {

// What a handle of a stream stands for. Events keep it beyond the destruction of the handle.
struct Queue {
  int device;
  bool blocking;
  std::deque<Operation> waiting;
  uint64_t done = 0;

  uint64_t end() const { return done + waiting.size(); }
  void run_until(uint64_t position) {
    while (done < position && !waiting.empty()) {
      const Operation operation = std::move(waiting.front());
      waiting.pop_front();
      ++done;
      operation(device);
    }
  }
};

}  // namespace convolt::cuda_host

using convolt::cuda_host::Queue;

struct CUstream_st {
  std::shared_ptr<Queue> queue;
};

struct CUevent_st {
  bool timing;
  std::shared_ptr<Queue> queue;  // null: never recorded, or on the default stream
  uint64_t position = 0;
  bool recorded = false;
  // When the operations before it had run.
  std::shared_ptr<std::chrono::steady_clock::time_point> reached;
};

namespace convolt::cuda_host {
namespace {

Objects<CUstream_st> streams;
Objects<CUevent_st> events;

}  // namespace

void drain_device(int device) {
  for (const auto& stream : streams) {
    if (stream->queue->device == device) stream->queue->run_until(stream->queue->end());
  }
}

cudaError drain(cudaStream_t stream) {
  if (stream != nullptr) {
    if (!streams.contains(stream)) return cudaErrorInvalidResourceHandle;
    stream->queue->run_until(stream->queue->end());
    return cudaSuccess;
  }
  for (const auto& other : streams) {
    Queue& queue = *other->queue;
    if (queue.device == current_device() && queue.blocking) queue.run_until(queue.end());
  }
  return cudaSuccess;
}

cudaError enqueue(cudaStream_t stream, Operation operation) {
  if (stream == nullptr) {
    drain(nullptr);
    operation(current_device());
    return cudaSuccess;
  }
  if (!streams.contains(stream)) return cudaErrorInvalidResourceHandle;
  stream->queue->waiting.push_back(std::move(operation));
  return cudaSuccess;
}

int device_of(cudaStream_t stream) {
  if (stream == nullptr) return current_device();
  return streams.contains(stream) ? stream->queue->device : -1;
}

int64_t live_streams() { return streams.size(); }
int64_t live_events() { return events.size(); }

}  // namespace convolt::cuda_host

using namespace convolt::cuda_host;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const Call call("cudaStreamCreateWithFlags");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (flags > cudaStreamNonBlocking) return call.result(cudaErrorInvalidValue);
  auto queue = std::make_shared<Queue>();
  queue->device = current_device();
  queue->blocking = flags == cudaStreamDefault;
  *stream = streams.add(new CUstream_st{std::move(queue)});
  return call.result(cudaSuccess);
}

// What is still on the stream runs now: its order to other streams is what events have fixed.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Call call("cudaStreamDestroy");
  if (stream == nullptr || !streams.contains(stream)) {
    return call.result(cudaErrorInvalidResourceHandle);
  }
  drain(stream);
  streams.remove(stream);
  return call.result(call.fails() ? cudaErrorUnknown : cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Call call("cudaStreamSynchronize");
  if (call.fails()) return call.result(cudaErrorUnknown);
  return call.result_of_work(drain(stream));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
  const Call call("cudaStreamWaitEvent");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (flags != 0) return call.result(cudaErrorInvalidValue);
  if (!events.contains(event)) return call.result(cudaErrorInvalidResourceHandle);
  if (event->queue == nullptr) return call.result(cudaSuccess);
  return call.result(enqueue(stream, [queue = event->queue, position = event->position](
                                         int /*device*/) { queue->run_until(position); }));
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const Call call("cudaEventCreateWithFlags");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if ((flags & ~cudaEventDisableTiming) != 0) return call.result(cudaErrorInvalidValue);
  auto* const made = new CUevent_st;
  made->timing = flags == cudaEventDefault;
  *event = events.add(made);
  return call.result(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Call call("cudaEventDestroy");
  if (!events.contains(event)) return call.result(cudaErrorInvalidResourceHandle);
  events.remove(event);
  return call.result(call.fails() ? cudaErrorUnknown : cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  using Clock = std::chrono::steady_clock;
  const Call call("cudaEventRecord");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (!events.contains(event)) return call.result(cudaErrorInvalidResourceHandle);
  const auto reached = std::make_shared<Clock::time_point>();
  const cudaError code = enqueue(stream, [reached](int /*device*/) { *reached = Clock::now(); });
  if (code != cudaSuccess) return call.result(code);
  event->recorded = true;
  event->reached = reached;
  event->queue = stream == nullptr ? nullptr : stream->queue;
  event->position = stream == nullptr ? 0 : stream->queue->end();
  return call.result(cudaSuccess);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Call call("cudaEventSynchronize");
  if (call.fails()) return call.result(cudaErrorUnknown);
  if (!events.contains(event)) return call.result(cudaErrorInvalidResourceHandle);
  if (event->queue != nullptr) event->queue->run_until(event->position);
  return call.result_of_work(cudaSuccess);
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const Call call("cudaEventElapsedTime");
  if (call.fails()) return call.result(cudaErrorUnknown);
  for (const cudaEvent_t event : {start, end}) {
    if (!events.contains(event) || !event->timing || !event->recorded) {
      return call.result(cudaErrorInvalidResourceHandle);
    }
    if (event->queue != nullptr && event->queue->done < event->position) {
      return call.result(cudaErrorNotReady);
    }
  }
  const std::chrono::duration<float, std::milli> elapsed = *end->reached - *start->reached;
  *milliseconds = elapsed.count();
  return call.result(cudaSuccess);
}
