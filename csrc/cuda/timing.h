// The time between two points of a stream.
#pragma once

#include "device.h"

struct CUevent_st;  // cudaEvent_t is a pointer to it

namespace convolt::cuda {

// A point on the stream that is current at record().
class TimingEvent {
 public:
  TimingEvent();
  ~TimingEvent();
  TimingEvent(const TimingEvent&) = delete;
  TimingEvent& operator=(const TimingEvent&) = delete;

  void record();
  // From here to `other`. Waits for both.
  float elapsed_ms(const TimingEvent& other) const;

 private:
  CUevent_st* event_ = nullptr;
};

}  // namespace convolt::cuda
