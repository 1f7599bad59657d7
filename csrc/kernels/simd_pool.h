// What only pooling asks of vectors: NaN, the larger of two, a byte for each lane. The third place
// for intrinsics beside simd.h and simd_lanes.h.
#pragma once

#include "simd_lanes.h"

namespace convolt {
namespace CONVOLT_ISA {

// Where a or b is NaN.
template <typename T>
static inline Lanes<T> unordered(Vec<T> a, Vec<T> b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q);
  } else {
    return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_UNORD_Q);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Mask<T>)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q);
  } else {
    return (Mask<T>)_mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_UNORD_Q);
  }
#else
  return (a != a) | (b != b);
#endif
}

template <typename T>
static inline bool any_lane(Lanes<T> lanes) {
#if defined(__AVX512F__)
  return lanes != 0;
#else
  for (int i = 0; i < kLanes<T>; ++i) {
    if (lanes[i] != 0) return true;
  }
  return false;
#endif
}

// v > best ? v : best: the second where they are equal or one is NaN.
template <typename T>
static inline Vec<T> larger(Vec<T> v, Vec<T> best) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_max_ps((__m256)v, (__m256)best);
  } else {
    return (Vec<T>)_mm256_max_pd((__m256d)v, (__m256d)best);
  }
#else
  return v > best ? v : best;
#endif
}

// A byte for each lane, zero-extended, and back from lanes that are bytes already.
template <typename T>
static inline Mask<T> load_bytes(const uint8_t* p) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Mask<T>)_mm256_cvtepu8_epi32(_mm_loadu_si64(p));
  } else {
    return (Mask<T>)_mm256_cvtepu8_epi64(_mm_loadu_si32(p));
  }
#else
  Mask<T> v;
  for (int i = 0; i < kLanes<T>; ++i) v[i] = p[i];
  return v;
#endif
}

template <typename T>
static inline void store_bytes(uint8_t* p, Mask<T> v) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  const __m128i low = _mm256_castsi256_si128((__m256i)v);
  const __m128i high = _mm256_extracti128_si256((__m256i)v, 1);
  if constexpr (sizeof(T) == 4) {
    _mm_storeu_si64(p, _mm_packus_epi16(_mm_packs_epi32(low, high), low));
  } else {
    const __m128i ints =
        _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(low), _mm_castsi128_ps(high), 0x88));
    _mm_storeu_si32(p, _mm_packus_epi16(_mm_packs_epi32(ints, ints), ints));
  }
#else
  for (int i = 0; i < kLanes<T>; ++i) p[i] = static_cast<uint8_t>(v[i]);
#endif
}

}  // namespace CONVOLT_ISA
}  // namespace convolt
