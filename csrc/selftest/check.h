// What the checks of the self-test share: the count, the report of a failure, random numbers, and
// memory whose neighbours are forbidden.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

namespace convolt::selftest {

template <typename T>
constexpr T kNan = std::numeric_limits<T>::quiet_NaN();
template <typename T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

class Report {
 public:
  // Names what is checked next; a fault handler prints it too, so it lies in a plain buffer.
  void begin(const std::string& what) {
    std::snprintf(current_, sizeof(current_), "%s: %s", section_.c_str(), what.c_str());
  }
  void enter(const std::string& section) {
    section_ = section;
    begin("start");
  }
  const char* current() const { return current_; }

  void expect(bool ok, const std::string& what) {
    ++checks_;
    if (ok) return;
    ++failures_;
    constexpr int64_t kMostMessages = 20;
    if (failures_ <= kMostMessages) {
      std::fprintf(stderr, "FAILED %s: %s\n", current_, what.c_str());
    }
  }

  // Element by element, NaN like NaN.
  template <typename T>
  void expect_equal(const T* got, const std::vector<T>& expected, const char* what) {
    expect_all(got, expected, what, [](T a, T b) { return same(a, b); });
  }

  // Whether each element is as far from the expected one as `tolerance`, or less.
  template <typename T>
  void expect_close(const T* got, const std::vector<T>& expected, T tolerance, const char* what) {
    expect_all(got, expected, what,
               [tolerance](T a, T b) { return same(a, b) || std::fabs(a - b) <= tolerance; });
  }

  int64_t checks() const { return checks_; }
  int64_t failures() const { return failures_; }

 private:
  template <typename T>
  static bool same(T a, T b) {
    return a == b || (a != a && b != b);
  }

  template <typename T, typename Match>
  void expect_all(const T* got, const std::vector<T>& expected, const char* what, Match&& match) {
    std::size_t i = 0;
    while (i < expected.size() && match(got[i], expected[i])) ++i;
    expect(i == expected.size(), i == expected.size()
                                     ? what
                                     : std::string(what) + "[" + std::to_string(i) + "] is " +
                                           std::to_string(got[i]) + ", expected " +
                                           std::to_string(expected[i]));
  }

  std::string section_;
  char current_[256] = "start";
  int64_t checks_ = 0;
  int64_t failures_ = 0;
};

inline Report report;

// Knuth's MMIX generator: the same numbers with every compiler and standard library.
class Random {
 public:
  int64_t integer(int64_t low, int64_t high) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return low + static_cast<int64_t>((state_ >> 33) % static_cast<uint64_t>(high - low + 1));
  }

  // Integers so small that every sum of the self-test is exact in float.
  template <typename Array>
  void fill(Array& array) {
    for (auto& element : array) {
      element = static_cast<std::remove_reference_t<decltype(element)>>(integer(-3, 3));
    }
  }

  // Few different values: windows with ties, zeros, NaN, and nothing but -inf.
  template <typename T, typename Array>
  void fill_special(Array& array) {
    const T palette[] = {kNan<T>, kInfinity<T>, -kInfinity<T>, -kInfinity<T>, 0, 1, 1, -1};
    for (T& element : array) element = palette[integer(0, integer(0, 1) == 0 ? 7 : 5)];
  }

 private:
  uint64_t state_ = 0;
};

// On which side of an array the page lies that nobody may touch. One element too much on that side
// is a fault, whether it is read or written.
enum class Guard { kBefore, kBehind };
constexpr Guard kGuards[] = {Guard::kBefore, Guard::kBehind};

inline const char* name(Guard guard) {
  return guard == Guard::kBefore ? "guarded before" : "guarded behind";
}

template <typename T>
class Guarded {
 public:
  Guarded(int64_t count, Guard side) : count_(count) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    const std::size_t body = (bytes + page - 1) / page * page;
    mapped_ = body + 2 * page;
    map_ =
        static_cast<char*>(mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (map_ == MAP_FAILED ||
        (body > 0 && mprotect(map_ + page, body, PROT_READ | PROT_WRITE) != 0)) {
      std::perror("mmap");
      std::_Exit(1);
    }
    data_ = reinterpret_cast<T*>(map_ + page + (side == Guard::kBehind ? body - bytes : 0));
  }
  Guarded(const std::vector<T>& values, Guard side)
      : Guarded(static_cast<int64_t>(values.size()), side) {
    std::copy(values.begin(), values.end(), data_);
  }
  ~Guarded() { munmap(map_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + count_; }
  T& operator[](int64_t i) { return data_[i]; }
  std::vector<T> copy() const { return std::vector<T>(data_, data_ + count_); }

 private:
  int64_t count_;
  std::size_t mapped_;
  char* map_;
  T* data_;
};

}  // namespace convolt::selftest
