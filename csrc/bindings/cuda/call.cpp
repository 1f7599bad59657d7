#include "call.h"

#include <algorithm>

namespace convolt::cuda {

thread_local Call* Call::innermost_ = nullptr;

Call::~Call() {
  innermost_ = outer_;
  try {
    end();
  } catch (const Error&) {  // comes back from the next call if it lasts
    others_.clear();
  }
}

void Call::uses(const DeviceArray& array) {
  const Stream other = array.stream();
  if (other == current_stream() || array.size() == 0) return;
  if (std::find(others_.begin(), others_.end(), other) != others_.end()) return;
  others_.push_back(other);
  make_wait(current_stream(), other);
}

void Call::end() {
  std::vector<Stream> others;
  others.swap(others_);
  for (const Stream other : others) make_wait(other, current_stream());
}

void require_ready(const std::string& function, const char* argument, const DeviceArray& array) {
  Call& call = Call::current();
  if (array.device() != call.device()) {
    throw std::invalid_argument(function + ": " + argument + " must be on device " +
                                std::to_string(call.device()) + ", as the others are, got one on " +
                                "device " + std::to_string(array.device()));
  }
  call.uses(array);
}

}  // namespace convolt::cuda
