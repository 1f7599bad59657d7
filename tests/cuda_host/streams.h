// Streams as queues. The legacy default stream, null, runs what it is given at once, after all that
// is on the other streams; the others run nothing until somebody waits for them, so that an order
// that nobody asked for is not there by luck.
#pragma once

#include <functional>

#include "include/cuda_runtime.h"

namespace convolt::cuda_host {

// Receives the device of the stream.
using Operation = std::function<void(int device)>;

// cudaErrorInvalidResourceHandle for what is not a stream.
cudaError enqueue(cudaStream_t stream, Operation operation);

// Runs all that is on the stream; for null, on all streams but the non-blocking ones.
cudaError drain(cudaStream_t stream);
// On all streams of the device.
void drain_device(int device);

// -1 for what is not a stream.
int device_of(cudaStream_t stream);

int64_t live_streams();
int64_t live_events();

}  // namespace convolt::cuda_host
