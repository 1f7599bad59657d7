// The result of a call of CUDA, which the caller has to look at.
#pragma once

namespace convolt::cuda_host {

void report_unchecked(const char* call) noexcept;

// A status code that knows whether somebody has converted it to its enumeration, as any comparison
// does. A copy takes the duty over; what is destroyed with it is reported.
template <typename Code>
class Checked {
 public:
  Checked(Code code) : code_(code) {}
  Checked(Code code, const char* call) : code_(code), call_(call) {}
  Checked(const Checked& other) noexcept : code_(other.code_), call_(other.call_) {
    other.call_ = nullptr;
  }
  Checked& operator=(const Checked& other) noexcept {
    if (this == &other) return *this;
    if (call_ != nullptr) report_unchecked(call_);
    code_ = other.code_;
    call_ = other.call_;
    other.call_ = nullptr;
    return *this;
  }
  ~Checked() {
    if (call_ != nullptr) report_unchecked(call_);
  }
  operator Code() const {
    call_ = nullptr;
    return code_;
  }

 private:
  Code code_;
  mutable const char* call_ = nullptr;  // whose result nobody has looked at
};

}  // namespace convolt::cuda_host
