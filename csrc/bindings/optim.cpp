// Updates of parameters. Arrays that the engine cannot take as they lie are left to NumPy.
#include <algorithm>

#include "arrays.h"
#include "optimizers.h"

namespace convolt {
namespace {

bool same_shape(const py::array& a, const py::array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

// Whether these are contiguous arrays of one dtype and shape, of which those behind the first may
// be written, and none shares memory with another.
template <typename T>
bool are_simple(const std::vector<py::array>& arrays) {
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const py::array& array = arrays[i];
    if (!has_type<T>(array) || !is_ready(array) || !same_shape(array, arrays[0])) return false;
    if (i > 0 && !array.writeable()) return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (!are_apart(array, arrays[j])) return false;
    }
  }
  return true;
}

// Calls update(step, count) with the arrays: gradient, parameter, state and, for two moments, the
// second one. False: nothing is done.
template <typename T, typename Update>
bool update_if_simple(std::vector<py::array> arrays, const Update& update) {
  if (!are_simple<T>(arrays)) return false;
  OptimizerStep<T> step{};
  step.gradient = static_cast<const T*>(arrays[0].data());
  step.parameter = static_cast<T*>(arrays[1].mutable_data());
  step.state = static_cast<T*>(arrays[2].mutable_data());
  if (arrays.size() > 3) step.second = static_cast<T*>(arrays[3].mutable_data());
  const int64_t count = arrays[0].size();
  without_gil([&] { update(step, count); });
  return true;
}

bool sgd(const py::array& gradient, const py::array& parameter, const py::array& velocity,
         double momentum, double rate) {
  const auto update = [&](auto tag) {
    using T = decltype(tag);
    return update_if_simple<T>(
        {gradient, parameter, velocity}, [&](const OptimizerStep<T>& step, int64_t count) {
          sgd_update(step, count, static_cast<T>(momentum), static_cast<T>(rate));
        });
  };
  return update(float{}) || update(double{});
}

bool adam(const py::array& gradient, const py::array& parameter, const py::array& first,
          const py::array& second, const std::array<double, 2>& decays, double eps, double rate) {
  const auto update = [&](auto tag) {
    using T = decltype(tag);
    const T rounded[] = {static_cast<T>(decays[0]), static_cast<T>(decays[1])};
    return update_if_simple<T>(
        {gradient, parameter, first, second}, [&](const OptimizerStep<T>& step, int64_t count) {
          adam_update(step, count, rounded, static_cast<T>(eps), static_cast<T>(rate));
        });
  };
  return update(float{}) || update(double{});
}

}  // namespace

void register_optim(py::module_& m) {
  using py::arg;
  m.def("sgd_update", &sgd, arg("gradient"), arg("parameter"), arg("velocity"), arg("momentum"),
        arg("rate"));
  m.def("adam_update", &adam, arg("gradient"), arg("parameter"), arg("first"), arg("second"),
        arg("decays"), arg("eps"), arg("rate"));
}

}  // namespace convolt
