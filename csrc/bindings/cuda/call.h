// A call of an operator: where it runs, and in what order with the rest.
#pragma once

#include <string>
#include <vector>

#include "device_array.h"

namespace convolt::cuda {

// While it lives, this thread's current device is that of the arrays. What is enqueued comes on the
// current stream, behind all that was enqueued on the streams of the arrays before; and what comes
// on those later, such as the end of their memory, waits for the call.
class Call {
 public:
  explicit Call(int device) : guard_(device), device_(device), outer_(innermost_) {
    innermost_ = this;
  }
  // Without end(), after an exception: keeps the order as far as the device still answers.
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void uses(const DeviceArray& array);
  void end();

  int device() const { return device_; }
  // The call that this thread is in.
  static Call& current() { return *innermost_; }

 private:
  static thread_local Call* innermost_;

  DeviceGuard guard_;
  int device_;
  Call* outer_;
  std::vector<Stream> others_;
};

// Refuses an array of another device than that of the call, and takes its stream into the order.
void require_ready(const std::string& function, const char* argument, const DeviceArray& array);

}  // namespace convolt::cuda
