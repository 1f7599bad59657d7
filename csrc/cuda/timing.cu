#include "launch.cuh"
#include "timing.h"

namespace convolt::cuda {

TimingEvent::TimingEvent() { check(cudaEventCreate(&event_), "cudaEventCreate"); }

TimingEvent::~TimingEvent() { check_in_destructor(cudaEventDestroy(event_)); }

void TimingEvent::record() { check(cudaEventRecord(event_, current_stream()), "cudaEventRecord"); }

float TimingEvent::elapsed_ms(const TimingEvent& other) const {
  check(cudaEventSynchronize(event_), "cudaEventSynchronize");
  check(cudaEventSynchronize(other.event_), "cudaEventSynchronize");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, event_, other.event_), "cudaEventElapsedTime");
  return milliseconds;
}

}  // namespace convolt::cuda
