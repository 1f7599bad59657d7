// convolt._core: what Python sees of the engine. Each subject registers itself.
#include "../subjects.h"
#include "parallel.h"

namespace {

// PyErr_CheckSignals runs handlers in the main thread only, and leaves the exception set there.
bool interrupted_by_signal() {
  const PyGILState_STATE state = PyGILState_Ensure();
  const bool interrupted = PyErr_CheckSignals() != 0;
  PyGILState_Release(state);
  return interrupted;
}

}  // namespace

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  m.doc() = "The compiled engine of convolt; use convolt.functional.";
  convolt::set_interrupt_check(interrupted_by_signal);
  convolt::register_info(m);
  convolt::register_conv(m);
  convolt::register_conv_at_once(m);
  convolt::register_prepared(m);
  convolt::register_im2col(m);
  convolt::register_im2col_at_once(m);
  convolt::register_pool(m);
  convolt::register_pool_at_once(m);
  convolt::register_optim(m);
  convolt::register_norm(m);
}
