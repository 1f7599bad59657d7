// Stacks on which the threads of a block wait for each other at barriers.
#pragma once

#include <cstddef>

#include "shadow.h"

namespace convolt::cuda_host {

// A piece of code on a stack of its own, which can stop in the middle. One OS thread at a time.
class Fiber {
 public:
  using Body = void (*)();

  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next resume() calls the body from its beginning, whatever became of the last one.
  void prepare(Body body);
  // Runs until the body ends or calls suspend().
  void resume();
  bool ended() const { return ended_; }

  // Called on the fiber: back to resume().
  void suspend();

  AddressRange stack() const { return {reinterpret_cast<std::size_t>(stack_), kStackBytes}; }

 private:
  static constexpr std::size_t kStackBytes = std::size_t{128} << 10;

  static void enter();

  char* stack_;         // the lowest page is a guard
  std::size_t colour_;  // unused bytes at the top
  Body body_ = nullptr;
  bool ended_ = true;
  void* inside_ = nullptr;   // where the fiber stopped
  void* outside_ = nullptr;  // where resume() was called
};

}  // namespace convolt::cuda_host
