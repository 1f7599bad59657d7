// What simd.h has beyond whole vectors in ascending order: some lanes of one, every second element
// of two. The only other place for intrinsics.
#pragma once

#include "simd.h"

namespace convolt {
namespace CONVOLT_ISA {

// A choice of consecutive lanes.
#if defined(__AVX512F__)
template <typename T>
using Lanes = decltype(static_cast<uint16_t>(0));
#else
template <typename T>
using Lanes = Mask<T>;
#endif

// The lanes [begin, end), of which any may lie outside of the vector.
template <typename T>
static inline Lanes<T> lanes_between(int64_t begin, int64_t end) {
  const int first = begin < 0 ? 0 : begin > kLanes<T> ? kLanes<T> : static_cast<int>(begin);
  const int last = end < 0 ? 0 : end > kLanes<T> ? kLanes<T> : static_cast<int>(end);
#if defined(__AVX512F__)
  return static_cast<Lanes<T>>(((1U << last) - 1U) & ~((1U << first) - 1U));
#else
  Mask<T> index;
  for (int i = 0; i < kLanes<T>; ++i) index[i] = i;
  return (index >= first) & (index < last);
#endif
}

// The chosen lanes, and zeros; nothing else is read. A function of its own where it goes lane by
// lane: there it would fill the kernels with branches.
template <typename T>
#if !defined(__AVX2__)
[[gnu::noinline]]
#endif
static inline Vec<T> load_lanes(const T* p, Lanes<T> lanes) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_maskz_loadu_ps(lanes, p);
  } else {
    return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>(lanes), p);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_maskload_ps(p, (__m256i)lanes);
  } else {
    return (Vec<T>)_mm256_maskload_pd(p, (__m256i)lanes);
  }
#else
  Vec<T> v{};
  for (int i = 0; i < kLanes<T>; ++i) {
    if (lanes[i] != 0) v[i] = p[i];
  }
  return v;
#endif
}

// All lanes, or the chosen ones.
template <typename T, bool All>
static inline Vec<T> load_if(const T* p, Lanes<T> lanes) {
  return All ? load<T>(p) : load_lanes<T>(p, lanes);
}

// Stores the first `count` lanes, 1 <= count <= kLanes. By halves where the ISA has no quick masked
// store: AMD's AVX2 takes dozens of cycles for one.
template <typename T>
static inline void store_first(T* p, Vec<T> v, int64_t count) {
#if defined(__AVX512F__)
  const Lanes<T> lanes = lanes_between<T>(0, count);
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(p, lanes, (__m512)v);
  } else {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>(lanes), (__m512d)v);
  }
#else
  if (count == kLanes<T>) {
    store<T>(p, v);
    return;
  }
  T lanes[kLanes<T>];
  store<T>(lanes, v);
  const T* from = lanes;
#pragma GCC unroll 4
  for (int half = kLanes<T> / 2; half > 0; half /= 2) {
    if ((count & half) == 0) continue;
    __builtin_memcpy(p, from, static_cast<std::size_t>(half) * sizeof(T));
    p += half;
    from += half;
  }
#endif
}

// The sum of all lanes, by halves.
template <typename T>
static inline T sum_lanes(Vec<T> v) {
  T lanes[kLanes<T>];
  store<T>(lanes, v);
#pragma GCC unroll 4
  for (int half = kLanes<T> / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

// Two vectors that follow each other in memory, taken apart: the elements of even and of odd place,
// in an order that AVX2 has quickly and that in_pair_order makes of the ascending one, and back.
#if defined(__AVX512F__)
static inline Vec<float> even_places(Vec<float> a, Vec<float> b) {
  const __m512i index = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  return (Vec<float>)_mm512_permutex2var_ps((__m512)a, index, (__m512)b);
}
static inline Vec<float> odd_places(Vec<float> a, Vec<float> b) {
  const __m512i index = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  return (Vec<float>)_mm512_permutex2var_ps((__m512)a, index, (__m512)b);
}
static inline Vec<double> even_places(Vec<double> a, Vec<double> b) {
  const __m512i index = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
  return (Vec<double>)_mm512_permutex2var_pd((__m512d)a, index, (__m512d)b);
}
static inline Vec<double> odd_places(Vec<double> a, Vec<double> b) {
  const __m512i index = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
  return (Vec<double>)_mm512_permutex2var_pd((__m512d)a, index, (__m512d)b);
}
#elif defined(__AVX2__)
static inline Vec<float> even_places(Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x88);
}
static inline Vec<float> odd_places(Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm256_shuffle_ps((__m256)a, (__m256)b, 0xDD);
}
static inline Vec<double> even_places(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
}
static inline Vec<double> odd_places(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
}
#elif defined(__SSE2__)
static inline Vec<float> even_places(Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm_shuffle_ps((__m128)a, (__m128)b, 0x88);
}
static inline Vec<float> odd_places(Vec<float> a, Vec<float> b) {
  return (Vec<float>)_mm_shuffle_ps((__m128)a, (__m128)b, 0xDD);
}
static inline Vec<double> even_places(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm_unpacklo_pd((__m128d)a, (__m128d)b);
}
static inline Vec<double> odd_places(Vec<double> a, Vec<double> b) {
  return (Vec<double>)_mm_unpackhi_pd((__m128d)a, (__m128d)b);
}
#elif defined(__aarch64__)
static inline Vec<float> even_places(Vec<float> a, Vec<float> b) {
  return (Vec<float>)vuzp1q_f32((float32x4_t)a, (float32x4_t)b);
}
static inline Vec<float> odd_places(Vec<float> a, Vec<float> b) {
  return (Vec<float>)vuzp2q_f32((float32x4_t)a, (float32x4_t)b);
}
static inline Vec<double> even_places(Vec<double> a, Vec<double> b) {
  return (Vec<double>)vuzp1q_f64((float64x2_t)a, (float64x2_t)b);
}
static inline Vec<double> odd_places(Vec<double> a, Vec<double> b) {
  return (Vec<double>)vuzp2q_f64((float64x2_t)a, (float64x2_t)b);
}
#else
template <typename V>
static inline V even_places(V a, V b) {
  constexpr int kCount = sizeof(V) / sizeof(a[0]);
  V v;
  for (int i = 0; i < kCount; ++i) v[i] = 2 * i < kCount ? a[2 * i] : b[2 * i - kCount];
  return v;
}
template <typename V>
static inline V odd_places(V a, V b) {
  constexpr int kCount = sizeof(V) / sizeof(a[0]);
  V v;
  for (int i = 0; i < kCount; ++i) v[i] = 2 * i < kCount ? a[2 * i + 1] : b[2 * i + 1 - kCount];
  return v;
}
#endif

template <typename T>
static inline Vec<T> in_pair_order(Vec<T> v) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  return (Vec<T>)_mm256_permute4x64_pd((__m256d)v, 0xD8);
#else
  return v;
#endif
}

// The inverse for vectors in ascending order: the first and the last half of  even0 odd0 even1 ..
#if defined(__AVX512F__)
static inline Vec<float> first_interleaved(Vec<float> even, Vec<float> odd) {
  const __m512i index = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (Vec<float>)_mm512_permutex2var_ps((__m512)even, index, (__m512)odd);
}
static inline Vec<float> last_interleaved(Vec<float> even, Vec<float> odd) {
  const __m512i index =
      _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
  return (Vec<float>)_mm512_permutex2var_ps((__m512)even, index, (__m512)odd);
}
static inline Vec<double> first_interleaved(Vec<double> even, Vec<double> odd) {
  const __m512i index = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
  return (Vec<double>)_mm512_permutex2var_pd((__m512d)even, index, (__m512d)odd);
}
static inline Vec<double> last_interleaved(Vec<double> even, Vec<double> odd) {
  const __m512i index = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
  return (Vec<double>)_mm512_permutex2var_pd((__m512d)even, index, (__m512d)odd);
}
#elif defined(__AVX2__)
static inline Vec<float> first_interleaved(Vec<float> even, Vec<float> odd) {
  const __m256 low = _mm256_unpacklo_ps((__m256)even, (__m256)odd);
  const __m256 high = _mm256_unpackhi_ps((__m256)even, (__m256)odd);
  return (Vec<float>)_mm256_permute2f128_ps(low, high, 0x20);
}
static inline Vec<float> last_interleaved(Vec<float> even, Vec<float> odd) {
  const __m256 low = _mm256_unpacklo_ps((__m256)even, (__m256)odd);
  const __m256 high = _mm256_unpackhi_ps((__m256)even, (__m256)odd);
  return (Vec<float>)_mm256_permute2f128_ps(low, high, 0x31);
}
static inline Vec<double> first_interleaved(Vec<double> even, Vec<double> odd) {
  const __m256d low = _mm256_unpacklo_pd((__m256d)even, (__m256d)odd);
  const __m256d high = _mm256_unpackhi_pd((__m256d)even, (__m256d)odd);
  return (Vec<double>)_mm256_permute2f128_pd(low, high, 0x20);
}
static inline Vec<double> last_interleaved(Vec<double> even, Vec<double> odd) {
  const __m256d low = _mm256_unpacklo_pd((__m256d)even, (__m256d)odd);
  const __m256d high = _mm256_unpackhi_pd((__m256d)even, (__m256d)odd);
  return (Vec<double>)_mm256_permute2f128_pd(low, high, 0x31);
}
#elif defined(__SSE2__)
static inline Vec<float> first_interleaved(Vec<float> even, Vec<float> odd) {
  return (Vec<float>)_mm_unpacklo_ps((__m128)even, (__m128)odd);
}
static inline Vec<float> last_interleaved(Vec<float> even, Vec<float> odd) {
  return (Vec<float>)_mm_unpackhi_ps((__m128)even, (__m128)odd);
}
static inline Vec<double> first_interleaved(Vec<double> even, Vec<double> odd) {
  return (Vec<double>)_mm_unpacklo_pd((__m128d)even, (__m128d)odd);
}
static inline Vec<double> last_interleaved(Vec<double> even, Vec<double> odd) {
  return (Vec<double>)_mm_unpackhi_pd((__m128d)even, (__m128d)odd);
}
#elif defined(__aarch64__)
static inline Vec<float> first_interleaved(Vec<float> even, Vec<float> odd) {
  return (Vec<float>)vzip1q_f32((float32x4_t)even, (float32x4_t)odd);
}
static inline Vec<float> last_interleaved(Vec<float> even, Vec<float> odd) {
  return (Vec<float>)vzip2q_f32((float32x4_t)even, (float32x4_t)odd);
}
static inline Vec<double> first_interleaved(Vec<double> even, Vec<double> odd) {
  return (Vec<double>)vzip1q_f64((float64x2_t)even, (float64x2_t)odd);
}
static inline Vec<double> last_interleaved(Vec<double> even, Vec<double> odd) {
  return (Vec<double>)vzip2q_f64((float64x2_t)even, (float64x2_t)odd);
}
#else
template <typename V>
static inline V first_interleaved(V even, V odd) {
  constexpr int kCount = sizeof(V) / sizeof(even[0]);
  V v;
  for (int i = 0; i < kCount; ++i) v[i] = i % 2 == 0 ? even[i / 2] : odd[i / 2];
  return v;
}
template <typename V>
static inline V last_interleaved(V even, V odd) {
  constexpr int kCount = sizeof(V) / sizeof(even[0]);
  V v;
  for (int i = 0; i < kCount; ++i) {
    v[i] = i % 2 == 0 ? even[(kCount + i) / 2] : odd[(kCount + i) / 2];
  }
  return v;
}
#endif

// d[j][lane] = p[lane * step + j] for j < 4: four elements each from as many places as lanes.
template <typename T>
static inline void load_quads(const T* p, int64_t step, Vec<T>* d) {
  for (int j = 0; j < 4; ++j) {
    Vec<T> elements{};
    for (int lane = 0; lane < kLanes<T>; ++lane) elements[lane] = p[lane * step + j];
    d[j] = elements;
  }
}

// Transposed in each 128 bits; row k has those of lane k, k + 4, ..
#if defined(__AVX512F__)
// All lanes chosen: without a mask, gcc 12 warns of what its own header leaves uninitialized.
static inline void load_quads(const float* p, int64_t step, Vec<float>* d) {
  constexpr __mmask16 kAll = 0xffff;
  constexpr __mmask8 kAllPairs = 0xff;
  __m512 rows[4];
  for (int k = 0; k < 4; ++k) {
    const float* const row = p + k * step;
    rows[k] = _mm512_castps128_ps512(_mm_loadu_ps(row));
    rows[k] = _mm512_maskz_insertf32x4(kAll, rows[k], _mm_loadu_ps(row + 4 * step), 1);
    rows[k] = _mm512_maskz_insertf32x4(kAll, rows[k], _mm_loadu_ps(row + 8 * step), 2);
    rows[k] = _mm512_maskz_insertf32x4(kAll, rows[k], _mm_loadu_ps(row + 12 * step), 3);
  }
  __m512d pairs[4];  // low and high halves of rows 0 and 1, then of rows 2 and 3
  for (int k = 0; k < 4; k += 2) {
    pairs[k] = _mm512_castps_pd(_mm512_maskz_unpacklo_ps(kAll, rows[k], rows[k + 1]));
    pairs[k + 1] = _mm512_castps_pd(_mm512_maskz_unpackhi_ps(kAll, rows[k], rows[k + 1]));
  }
  d[0] = (Vec<float>)_mm512_maskz_unpacklo_pd(kAllPairs, pairs[0], pairs[2]);
  d[1] = (Vec<float>)_mm512_maskz_unpackhi_pd(kAllPairs, pairs[0], pairs[2]);
  d[2] = (Vec<float>)_mm512_maskz_unpacklo_pd(kAllPairs, pairs[1], pairs[3]);
  d[3] = (Vec<float>)_mm512_maskz_unpackhi_pd(kAllPairs, pairs[1], pairs[3]);
}
#elif defined(__AVX2__)
static inline void load_quads(const float* p, int64_t step, Vec<float>* d) {
  __m256 rows[4];
  for (int k = 0; k < 4; ++k) {
    const float* const row = p + k * step;
    rows[k] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row)),
                                   _mm_loadu_ps(row + 4 * step), 1);
  }
  const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(rows[0], rows[1]));
  const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(rows[2], rows[3]));
  const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(rows[0], rows[1]));
  const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(rows[2], rows[3]));
  d[0] = (Vec<float>)_mm256_unpacklo_pd(low01, low23);
  d[1] = (Vec<float>)_mm256_unpackhi_pd(low01, low23);
  d[2] = (Vec<float>)_mm256_unpacklo_pd(high01, high23);
  d[3] = (Vec<float>)_mm256_unpackhi_pd(high01, high23);
}
#elif defined(__SSE2__)
static inline void load_quads(const float* p, int64_t step, Vec<float>* d) {
  const __m128 r0 = _mm_loadu_ps(p), r1 = _mm_loadu_ps(p + step);
  const __m128 r2 = _mm_loadu_ps(p + 2 * step), r3 = _mm_loadu_ps(p + 3 * step);
  const __m128 low01 = _mm_unpacklo_ps(r0, r1), high01 = _mm_unpackhi_ps(r0, r1);
  const __m128 low23 = _mm_unpacklo_ps(r2, r3), high23 = _mm_unpackhi_ps(r2, r3);
  d[0] = (Vec<float>)_mm_movelh_ps(low01, low23);
  d[1] = (Vec<float>)_mm_movehl_ps(low23, low01);
  d[2] = (Vec<float>)_mm_movelh_ps(high01, high23);
  d[3] = (Vec<float>)_mm_movehl_ps(high23, high01);
}
#elif defined(__aarch64__)
static inline void load_quads(const float* p, int64_t step, Vec<float>* d) {
  const float32x4_t r0 = vld1q_f32(p), r1 = vld1q_f32(p + step);
  const float32x4_t r2 = vld1q_f32(p + 2 * step), r3 = vld1q_f32(p + 3 * step);
  const float64x2_t even01 = vreinterpretq_f64_f32(vtrn1q_f32(r0, r1));
  const float64x2_t odd01 = vreinterpretq_f64_f32(vtrn2q_f32(r0, r1));
  const float64x2_t even23 = vreinterpretq_f64_f32(vtrn1q_f32(r2, r3));
  const float64x2_t odd23 = vreinterpretq_f64_f32(vtrn2q_f32(r2, r3));
  d[0] = (Vec<float>)vtrn1q_f64(even01, even23);
  d[1] = (Vec<float>)vtrn1q_f64(odd01, odd23);
  d[2] = (Vec<float>)vtrn2q_f64(even01, even23);
  d[3] = (Vec<float>)vtrn2q_f64(odd01, odd23);
}
#endif

}  // namespace CONVOLT_ISA
}  // namespace convolt
