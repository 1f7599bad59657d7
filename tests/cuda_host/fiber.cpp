#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace convolt::cuda_host {
namespace {

Fiber* entering = nullptr;  // for Fiber::enter, which has no parameters

#if defined(__x86_64__)

// Saves the registers that a function must preserve, stores the stack pointer in *from, takes `to`
// as the stack pointer and goes on there. A kernel with barriers switches twice for each thread
// and barrier: swapcontext() takes two system calls, this a few nanoseconds.
extern "C" void convolt_cuda_host_switch(void** from, void* to);
__asm__(R"(
  .text
  .local convolt_cuda_host_switch
  .type convolt_cuda_host_switch, @function
convolt_cuda_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size convolt_cuda_host_switch, . - convolt_cuda_host_switch
)");

void switch_context(void** from, void* to) { convolt_cuda_host_switch(from, to); }

// A stack that looks as if `entry` had been about to be called when it was left: six registers,
// the address to go to, and a return address that is never used and makes the stack pointer 8
// below a multiple of 16, as the calling convention has it.
void* new_context(char* /*low*/, char* top, void (*entry)()) {
  void** const stack = reinterpret_cast<void**>(top) - 8;
  for (int i = 0; i < 8; ++i) stack[i] = nullptr;
  stack[6] = reinterpret_cast<void*>(entry);
  return static_cast<void*>(stack);
}

#else

// The portable way; a context lies on the stack that it belongs to.
void switch_context(void** from, void* to) {
  ucontext_t here;
  *from = &here;
  swapcontext(&here, static_cast<ucontext_t*>(to));
}

void* new_context(char* low, char* top, void (*entry)()) {
  top -= (sizeof(ucontext_t) + 63) / 64 * 64;
  auto* const context = new (top) ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = low;
  context->uc_stack.ss_size = static_cast<std::size_t>(top - low);
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}

#endif

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

Fiber::Fiber() {
  void* const memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  stack_ = static_cast<char*>(memory);
  if (mprotect(stack_, page_bytes(), PROT_NONE) != 0) throw std::bad_alloc();
  // Tops that are a power of two apart would all fall on the same lines of the cache.
  static std::size_t made = 0;
  colour_ = made++ % 61 * 64;
}

Fiber::~Fiber() { munmap(stack_, kStackBytes); }

void Fiber::prepare(Body body) {
  body_ = body;
  ended_ = false;
  inside_ = new_context(stack_ + page_bytes(), stack_ + kStackBytes - colour_, enter);
}

void Fiber::enter() {
  Fiber* const fiber = entering;
  fiber->body_();
  fiber->ended_ = true;
  fiber->suspend();
}

void Fiber::resume() {
  entering = this;
  switch_context(&outside_, inside_);
}

void Fiber::suspend() { switch_context(&inside_, outside_); }

}  // namespace convolt::cuda_host
