// Updates of parameters. Arrays that the engine cannot take as they lie are left to NumPy.
#include <algorithm>

#include "arrays.h"
#include "subjects.h"

namespace convolt {
namespace {

// Whether these are contiguous arrays of one dtype and shape, of which those behind the first may
// be written, and none shares memory with another.
template <typename T>
bool are_simple(const std::vector<Array>& arrays) {
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const Array& array = arrays[i];
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
bool update_if_simple(const char* function, std::vector<Array> arrays, const Update& update) {
  if (!are_simple<T>(arrays)) return false;
  return in_call(function, arrays[0], [&] {
    for (const Array& array : arrays) require_ready(function, "each array", array);
    OptimizerStep<T> step{};
    step.gradient = static_cast<const T*>(arrays[0].data());
    step.parameter = output_data<T>(arrays[1]);
    step.state = output_data<T>(arrays[2]);
    if (arrays.size() > 3) step.second = output_data<T>(arrays[3]);
    const int64_t count = arrays[0].size();
    without_gil([&] { update(step, count); });
    return true;
  });
}

bool sgd(const Array& gradient, const Array& parameter, const Array& velocity, double momentum,
         double rate) {
  const auto update = [&](auto tag) {
    using T = decltype(tag);
    return update_if_simple<T>("sgd_update", {gradient, parameter, velocity},
                               [&](const OptimizerStep<T>& step, int64_t count) {
                                 engine::sgd_update(step, count, static_cast<T>(momentum),
                                                    static_cast<T>(rate));
                               });
  };
  return update(float{}) || update(double{});
}

bool adam(const Array& gradient, const Array& parameter, const Array& first, const Array& second,
          const std::array<double, 2>& decays, double eps, double rate) {
  const auto update = [&](auto tag) {
    using T = decltype(tag);
    const T rounded[] = {static_cast<T>(decays[0]), static_cast<T>(decays[1])};
    return update_if_simple<T>("adam_update", {gradient, parameter, first, second},
                               [&](const OptimizerStep<T>& step, int64_t count) {
                                 engine::adam_update(step, count, rounded, static_cast<T>(eps),
                                                     static_cast<T>(rate));
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
