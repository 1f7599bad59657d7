// Batch normalization of a channel, whose planes lie `pitch` apart: the sums that its statistics
// and gradients are made of, and the two maps. Sums over planes are in double: there may be many,
// and in float the last would add little but rounding.
#pragma once

#include "../kernel_table.h"
#include "plane_sums.h"
#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

template <typename T>
static double channel_sum(const T* x, const ChannelPlanes& planes) {
  const Lanes<T> tail = lanes_between<T>(0, planes.pixels % kLanes<T>);
  double sum = 0;
  for (int64_t p = 0; p < planes.count; ++p, x += planes.pitch) {
    sum += static_cast<double>(plane_sum(x, planes.pixels, tail));
  }
  return sum;
}

// (a - a_mean) * (b - b_mean) of a plane, in short chains as plane_sum().
template <typename T>
static inline T centered_plane_dot(const T* a, Vec<T> a_mean, const T* b, Vec<T> b_mean,
                                   int64_t pixels, Lanes<T> tail) {
  constexpr int64_t kBlock = 256 * kLanes<T>;
  Vec<T> total[2] = {};
  int64_t i = 0;
  while (i + kLanes<T> <= pixels) {
    const int64_t end = i + kBlock < pixels ? i + kBlock : pixels;
    Vec<T> chain[2] = {};
    for (; i + 2 * kLanes<T> <= end; i += 2 * kLanes<T>) {
      for (int c = 0; c < 2; ++c) {
        const int64_t at = i + c * kLanes<T>;
        chain[c] = multiply_add<T>(load<T>(a + at) - a_mean, load<T>(b + at) - b_mean, chain[c]);
      }
    }
    for (; i + kLanes<T> <= end; i += kLanes<T>) {
      chain[0] = multiply_add<T>(load<T>(a + i) - a_mean, load<T>(b + i) - b_mean, chain[0]);
    }
    for (int c = 0; c < 2; ++c) total[c] += chain[c];
  }
  if (i < pixels) {
    T products[kLanes<T>] = {};
    store<T>(products,
             (load_lanes<T>(a + i, tail) - a_mean) * (load_lanes<T>(b + i, tail) - b_mean));
    total[1] += load_lanes<T>(products, tail);
  }
  return sum_lanes<T>(total[0] + total[1]);
}

// The means are taken off first: sums of squares that only then lose their common part would leave
// little of it.
template <typename T>
static double centered_dot(const T* a, T a_mean, const T* b, T b_mean,
                           const ChannelPlanes& planes) {
  const Lanes<T> tail = lanes_between<T>(0, planes.pixels % kLanes<T>);
  const Vec<T> a_means = broadcast(a_mean), b_means = broadcast(b_mean);
  double sum = 0;
  for (int64_t p = 0; p < planes.count; ++p, a += planes.pitch, b += planes.pitch) {
    sum += static_cast<double>(centered_plane_dot(a, a_means, b, b_means, planes.pixels, tail));
  }
  return sum;
}

template <typename T>
static void normalize(const T* x, const ChannelPlanes& planes, const Normalization<T>& n, T* y) {
  const Lanes<T> tail = lanes_between<T>(0, planes.pixels % kLanes<T>);
  const Vec<T> mean = broadcast(n.mean), scale = broadcast(n.scale), shift = broadcast(n.shift);
  const auto map = [&](Vec<T> v) { return multiply_add<T>(v - mean, scale, shift); };
  for (int64_t p = 0; p < planes.count; ++p, x += planes.pitch, y += planes.pitch) {
    int64_t i = 0;
    for (; i + kLanes<T> <= planes.pixels; i += kLanes<T>) store<T>(y + i, map(load<T>(x + i)));
    if (i < planes.pixels)
      store_first<T>(y + i, map(load_lanes<T>(x + i, tail)), planes.pixels - i);
  }
}

template <typename T>
static void normalize_backward(const T* dy, const T* x, const ChannelPlanes& planes,
                               const NormalizationGradient<T>& n, T* dx) {
  const Lanes<T> tail = lanes_between<T>(0, planes.pixels % kLanes<T>);
  const Vec<T> dy_mean = broadcast(n.dy_mean), x_mean = broadcast(n.x_mean);
  const Vec<T> x_slope = broadcast(n.x_slope), scale = broadcast(n.scale);
  const auto map = [&](Vec<T> g, Vec<T> v) {
    return (g - dy_mean - (v - x_mean) * x_slope) * scale;
  };
  for (int64_t p = 0; p < planes.count; ++p) {
    const int64_t at = p * planes.pitch, end = at + planes.pixels;
    int64_t i = at;
    for (; i + kLanes<T> <= end; i += kLanes<T>) {
      store<T>(dx + i, map(load<T>(dy + i), load<T>(x + i)));
    }
    if (i < end) {
      const Vec<T> last = map(load_lanes<T>(dy + i, tail), load_lanes<T>(x + i, tail));
      store_first<T>(dx + i, last, end - i);
    }
  }
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
