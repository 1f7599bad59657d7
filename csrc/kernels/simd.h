// The vector type and its operations. Plain arithmetic and comparisons are the compiler's vector
// extensions; what they cannot say is here, and intrinsics are nowhere else.
//
// Every function is static: an object compiled for AVX must not offer its copy to the linker.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace convolt {
namespace CONVOLT_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16, kRegisters = 32;
#else
constexpr int kVectorBytes = 16, kRegisters = 16;
#endif

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <typename T>
using Vec = typename VectorOf<T>::type;
template <typename T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

// A mask has an integer of T's width in each lane: -1 where true. `mask ? a : b` selects.
template <typename T>
using Mask = decltype(Vec<T>{} < Vec<T>{});

template <typename T>
static inline Vec<T> load(const T* p) {
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

template <typename T>
static inline void store(T* p, Vec<T> v) {
  __builtin_memcpy(p, &v, sizeof(v));
}

template <typename T>
static inline Vec<T> broadcast(T s) {
  return s - Vec<T>{};  // -(+0) keeps the sign of a zero s, where + would not
}

// Keeps a value in a register that the compiler would rather load again for each use.
template <typename T>
static inline void keep_in_register([[maybe_unused]] Vec<T>& v) {
#if defined(__AVX512F__)
  __asm__("" : "+v"(v));
#endif
}

// The same vector, which has to be in a register: the compiler would rather load it for each use.
template <typename T>
static inline Vec<T> in_register(Vec<T> v) {
#if defined(__SSE2__)
  __asm__("" : "+v"(v));
#elif defined(__aarch64__)
  __asm__("" : "+w"(v));
#endif
  return v;
}

// The same pointer, which the compiler then knows nothing of: it would rather have one for every
// element of a large tile, and spill them, than one and displacements.
template <typename T>
static inline const T* opaque(const T* p) {
  __asm__("" : "+r"(p));
  return p;
}

// a * b + c, rounded once where the ISA has it.
template <typename T>
static inline Vec<T> multiply_add(Vec<T> a, Vec<T> b, Vec<T> c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  } else {
    return (Vec<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  } else {
    return (Vec<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
  }
#elif defined(__aarch64__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
  } else {
    return (Vec<T>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
  }
#else
  return a * b + c;
#endif
}

// dst[j * dst_stride + i] = src[i * src_stride + j] for a block of kTransposeRows x
// kTransposeCount: 4 rows of floats or 2 of doubles, so that the columns are stored as 128 bits,
// which every ISA has.
template <typename T>
constexpr int kTransposeRows = 16 / static_cast<int>(sizeof(T));
#if defined(__AVX2__)
template <typename T>
constexpr int kTransposeCount = 32 / static_cast<int>(sizeof(T));
#else
template <typename T>
constexpr int kTransposeCount = 16 / static_cast<int>(sizeof(T));
#endif

#if defined(__SSE2__)
// Stores that ask for no alignment, unlike those of a double.
static inline void store_pairs(float* low, float* high, __m128 v) {
  _mm_storel_pi(reinterpret_cast<__m64*>(low), v);
  _mm_storeh_pi(reinterpret_cast<__m64*>(high), v);
}
#endif

#if defined(__AVX2__)

static inline void store_halves(float* low, float* high, __m256 v) {
  _mm_storeu_ps(low, _mm256_castps256_ps128(v));
  _mm_storeu_ps(high, _mm256_extractf128_ps(v, 1));
}

static inline void transpose_block(const float* src, int64_t src_stride, float* dst,
                                   int64_t dst_stride) {
  const __m256 r0 = _mm256_loadu_ps(src), r1 = _mm256_loadu_ps(src + src_stride);
  const __m256 r2 = _mm256_loadu_ps(src + 2 * src_stride);
  const __m256 r3 = _mm256_loadu_ps(src + 3 * src_stride);
  const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(r0, r1));
  const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(r0, r1));
  const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(r2, r3));
  const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(r2, r3));
  float* const half = dst + 4 * dst_stride;
  store_halves(dst, half, _mm256_castpd_ps(_mm256_unpacklo_pd(low01, low23)));
  store_halves(dst + dst_stride, half + dst_stride,
               _mm256_castpd_ps(_mm256_unpackhi_pd(low01, low23)));
  store_halves(dst + 2 * dst_stride, half + 2 * dst_stride,
               _mm256_castpd_ps(_mm256_unpacklo_pd(high01, high23)));
  store_halves(dst + 3 * dst_stride, half + 3 * dst_stride,
               _mm256_castpd_ps(_mm256_unpackhi_pd(high01, high23)));
}

// The same for two rows of floats.
static inline void transpose_pair(const float* src, int64_t src_stride, float* dst,
                                  int64_t dst_stride) {
  const __m256 r0 = _mm256_loadu_ps(src), r1 = _mm256_loadu_ps(src + src_stride);
  const __m256 low = _mm256_unpacklo_ps(r0, r1), high = _mm256_unpackhi_ps(r0, r1);
  const __m128 pairs[4] = {_mm256_castps256_ps128(low), _mm256_castps256_ps128(high),
                           _mm256_extractf128_ps(low, 1), _mm256_extractf128_ps(high, 1)};
  for (int i = 0; i < 4; ++i, dst += 2 * dst_stride) {
    store_pairs(dst, dst + dst_stride, pairs[i]);
  }
}

static inline void transpose_block(const double* src, int64_t src_stride, double* dst,
                                   int64_t dst_stride) {
  const __m256d r0 = _mm256_loadu_pd(src), r1 = _mm256_loadu_pd(src + src_stride);
  const __m256d even = _mm256_unpacklo_pd(r0, r1), odd = _mm256_unpackhi_pd(r0, r1);
  _mm_storeu_pd(dst, _mm256_castpd256_pd128(even));
  _mm_storeu_pd(dst + dst_stride, _mm256_castpd256_pd128(odd));
  _mm_storeu_pd(dst + 2 * dst_stride, _mm256_extractf128_pd(even, 1));
  _mm_storeu_pd(dst + 3 * dst_stride, _mm256_extractf128_pd(odd, 1));
}

#elif defined(__SSE2__)

static inline void transpose_block(const float* src, int64_t src_stride, float* dst,
                                   int64_t dst_stride) {
  const __m128 r0 = _mm_loadu_ps(src), r1 = _mm_loadu_ps(src + src_stride);
  const __m128 r2 = _mm_loadu_ps(src + 2 * src_stride), r3 = _mm_loadu_ps(src + 3 * src_stride);
  const __m128 low01 = _mm_unpacklo_ps(r0, r1), high01 = _mm_unpackhi_ps(r0, r1);
  const __m128 low23 = _mm_unpacklo_ps(r2, r3), high23 = _mm_unpackhi_ps(r2, r3);
  _mm_storeu_ps(dst, _mm_movelh_ps(low01, low23));
  _mm_storeu_ps(dst + dst_stride, _mm_movehl_ps(low23, low01));
  _mm_storeu_ps(dst + 2 * dst_stride, _mm_movelh_ps(high01, high23));
  _mm_storeu_ps(dst + 3 * dst_stride, _mm_movehl_ps(high23, high01));
}

static inline void transpose_pair(const float* src, int64_t src_stride, float* dst,
                                  int64_t dst_stride) {
  const __m128 r0 = _mm_loadu_ps(src), r1 = _mm_loadu_ps(src + src_stride);
  const __m128 pairs[2] = {_mm_unpacklo_ps(r0, r1), _mm_unpackhi_ps(r0, r1)};
  for (int i = 0; i < 2; ++i, dst += 2 * dst_stride) {
    store_pairs(dst, dst + dst_stride, pairs[i]);
  }
}

static inline void transpose_block(const double* src, int64_t src_stride, double* dst,
                                   int64_t dst_stride) {
  const __m128d r0 = _mm_loadu_pd(src), r1 = _mm_loadu_pd(src + src_stride);
  _mm_storeu_pd(dst, _mm_unpacklo_pd(r0, r1));
  _mm_storeu_pd(dst + dst_stride, _mm_unpackhi_pd(r0, r1));
}

#elif defined(__aarch64__)

static inline void transpose_block(const float* src, int64_t src_stride, float* dst,
                                   int64_t dst_stride) {
  const float32x4_t r0 = vld1q_f32(src), r1 = vld1q_f32(src + src_stride);
  const float32x4_t r2 = vld1q_f32(src + 2 * src_stride), r3 = vld1q_f32(src + 3 * src_stride);
  const float64x2_t even01 = vreinterpretq_f64_f32(vtrn1q_f32(r0, r1));
  const float64x2_t odd01 = vreinterpretq_f64_f32(vtrn2q_f32(r0, r1));
  const float64x2_t even23 = vreinterpretq_f64_f32(vtrn1q_f32(r2, r3));
  const float64x2_t odd23 = vreinterpretq_f64_f32(vtrn2q_f32(r2, r3));
  vst1q_f32(dst, vreinterpretq_f32_f64(vtrn1q_f64(even01, even23)));
  vst1q_f32(dst + dst_stride, vreinterpretq_f32_f64(vtrn1q_f64(odd01, odd23)));
  vst1q_f32(dst + 2 * dst_stride, vreinterpretq_f32_f64(vtrn2q_f64(even01, even23)));
  vst1q_f32(dst + 3 * dst_stride, vreinterpretq_f32_f64(vtrn2q_f64(odd01, odd23)));
}

static inline void transpose_pair(const float* src, int64_t src_stride, float* dst,
                                  int64_t dst_stride) {
  const float32x4_t r0 = vld1q_f32(src), r1 = vld1q_f32(src + src_stride);
  const float32x4_t pairs[2] = {vzip1q_f32(r0, r1), vzip2q_f32(r0, r1)};
  for (int i = 0; i < 2; ++i, dst += 2 * dst_stride) {
    vst1_f32(dst, vget_low_f32(pairs[i]));
    vst1_f32(dst + dst_stride, vget_high_f32(pairs[i]));
  }
}

static inline void transpose_block(const double* src, int64_t src_stride, double* dst,
                                   int64_t dst_stride) {
  const float64x2_t r0 = vld1q_f64(src), r1 = vld1q_f64(src + src_stride);
  vst1q_f64(dst, vtrn1q_f64(r0, r1));
  vst1q_f64(dst + dst_stride, vtrn2q_f64(r0, r1));
}

#else

template <typename T>
static inline void transpose_block(const T* src, int64_t src_stride, T* dst, int64_t dst_stride) {
  for (int i = 0; i < kTransposeRows<T>; ++i) {
    for (int j = 0; j < kTransposeCount<T>; ++j) dst[j * dst_stride + i] = src[i * src_stride + j];
  }
}

static inline void transpose_pair(const float* src, int64_t src_stride, float* dst,
                                  int64_t dst_stride) {
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < kTransposeCount<float>; ++j) {
      dst[j * dst_stride + i] = src[i * src_stride + j];
    }
  }
}

#endif

// For doubles two rows are a whole block.
static inline void transpose_pair(const double* src, int64_t src_stride, double* dst,
                                  int64_t dst_stride) {
  transpose_block(src, src_stride, dst, dst_stride);
}

// Stretches of 128 bits, which every ISA has.
template <typename T>
struct ShortVectorOf {
  typedef T type __attribute__((vector_size(16)));
};
template <typename T>
using ShortVec = typename ShortVectorOf<T>::type;

// The even and the odd elements of p[0 .. 2 * short lanes), and back.
template <typename T>
struct EvenOdd {
  ShortVec<T> even, odd;
};

#if defined(__SSE2__)

static inline EvenOdd<float> load_even_odd(const float* p) {
  const __m128 low = _mm_loadu_ps(p), high = _mm_loadu_ps(p + 4);
  return {(ShortVec<float>)_mm_shuffle_ps(low, high, 0x88),
          (ShortVec<float>)_mm_shuffle_ps(low, high, 0xdd)};
}

static inline void store_even_odd(float* p, const EvenOdd<float>& v) {
  _mm_storeu_ps(p, _mm_unpacklo_ps((__m128)v.even, (__m128)v.odd));
  _mm_storeu_ps(p + 4, _mm_unpackhi_ps((__m128)v.even, (__m128)v.odd));
}

static inline EvenOdd<double> load_even_odd(const double* p) {
  const __m128d low = _mm_loadu_pd(p), high = _mm_loadu_pd(p + 2);
  return {(ShortVec<double>)_mm_unpacklo_pd(low, high),
          (ShortVec<double>)_mm_unpackhi_pd(low, high)};
}

static inline void store_even_odd(double* p, const EvenOdd<double>& v) {
  _mm_storeu_pd(p, _mm_unpacklo_pd((__m128d)v.even, (__m128d)v.odd));
  _mm_storeu_pd(p + 2, _mm_unpackhi_pd((__m128d)v.even, (__m128d)v.odd));
}

#else

template <typename T>
static inline EvenOdd<T> load_even_odd(const T* p) {
  EvenOdd<T> v;
  for (int i = 0; i < 16 / static_cast<int>(sizeof(T)); ++i) {
    v.even[i] = p[2 * i];
    v.odd[i] = p[2 * i + 1];
  }
  return v;
}

template <typename T>
static inline void store_even_odd(T* p, const EvenOdd<T>& v) {
  for (int i = 0; i < 16 / static_cast<int>(sizeof(T)); ++i) {
    p[2 * i] = v.even[i];
    p[2 * i + 1] = v.odd[i];
  }
}

#endif

}  // namespace CONVOLT_ISA
}  // namespace convolt
