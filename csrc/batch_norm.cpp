#include "batch_norm.h"

#include <algorithm>
#include <cmath>

#include "isa.h"
#include "parallel.h"

namespace convolt {
namespace {

// Calls f(channel, offset of its first plane, its planes, the number of its elements).
template <typename T, typename F>
void for_each_channel(const Shape4& shape, const F& f) {
  constexpr double kOperations = 8;  // an element takes as long as so many of a product
  const int64_t pixels = shape[2] * shape[3];
  const ChannelPlanes planes = {shape[0], shape[1] * pixels, pixels};
  const int64_t elements = shape[0] * pixels;
  parallel_for(shape[1], threads_for(kOperations * static_cast<double>(elements * shape[1])),
               [&](int64_t c, int) {
                 f(c, c * pixels, planes, static_cast<double>(std::max<int64_t>(elements, 1)));
               });
}

}  // namespace

template <typename T>
void batch_norm_forward(const BatchNorm<T>& norm, T* mean, T* var, T* y) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  for_each_channel<T>(norm.shape, [&](int64_t c, int64_t offset, const ChannelPlanes& planes,
                                      double elements) {
    const T* const x = norm.x + offset;
    if (norm.of_batch) {
      mean[c] = static_cast<T>(kernels.channel_sum(x, planes) / elements);
      const double squares = kernels.centered_dot(x, mean[c], x, mean[c], planes);
      var[c] = static_cast<T>(squares / elements);
    }
    const T scale = 1 / std::sqrt(var[c] + norm.eps);
    const Normalization<T> map = {mean[c], norm.weight == nullptr ? scale : norm.weight[c] * scale,
                                  norm.bias == nullptr ? T{0} : norm.bias[c]};
    kernels.normalize(x, planes, map, y + offset);
  });
}

template <typename T>
void batch_norm_backward(const BatchNorm<T>& norm, const T* dy, const T* mean, const T* var, T* dx,
                         T* dweight, T* dbias) {
  const KernelTable<T>& kernels = selected_kernels<T>();
  for_each_channel<T>(
      norm.shape, [&](int64_t c, int64_t offset, const ChannelPlanes& planes, double elements) {
        const T* const x = norm.x + offset;
        const T scale = 1 / std::sqrt(var[c] + norm.eps);
        const double sum = kernels.channel_sum(dy + offset, planes);
        const double product = kernels.centered_dot(dy + offset, T{0}, x, mean[c], planes);
        dbias[c] = static_cast<T>(sum);
        dweight[c] = static_cast<T>(product) * scale;
        NormalizationGradient<T> map = {0, mean[c], 0,
                                        norm.weight == nullptr ? scale : norm.weight[c] * scale};
        if (norm.of_batch) {
          map.dy_mean = static_cast<T>(sum / elements);
          map.x_slope = static_cast<T>(product / elements) * scale * scale;
        }
        kernels.normalize_backward(dy + offset, x, planes, map, dx + offset);
      });
}

template void batch_norm_forward(const BatchNorm<float>&, float*, float*, float*);
template void batch_norm_forward(const BatchNorm<double>&, double*, double*, double*);
template void batch_norm_backward(const BatchNorm<float>&, const float*, const float*, const float*,
                                  float*, float*, float*);
template void batch_norm_backward(const BatchNorm<double>&, const double*, const double*,
                                  const double*, double*, double*, double*);

}  // namespace convolt
