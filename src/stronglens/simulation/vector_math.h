// What the inner loops in C++ have in common: powers, logarithms and angles of whole registers.
// The polynomials are least-squares fits of this project; errors 3e-7 (logarithm), 1e-7 (others).

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

constexpr float kTiny = 1e-14f;
constexpr float kFloor = -86.0f;  // of base-2 exponents: nothing beside any centre
constexpr float kFaint = -30.0f;  // 1e-9 of a peak, less than the rounding of the sum
constexpr int64_t kBlock = 256;   // rays worked on at once, in registers and the first cache
constexpr int64_t kLanes = 16;    // numbers in a vector register

// Loops run over whole registers: what is left over would be done one by one.
inline int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

inline float exp2_of(float y) {
  const float whole = __builtin_rintf(y), t = y - whole;
  float p = 1.34100001e-3f;
  p = p * t + 9.67603636e-3f;
  p = p * t + 5.55029731e-2f;
  p = p * t + 2.40221074e-1f;
  p = p * t + 6.93147225e-1f;
  p = p * t + 1.00000008f;
  return __builtin_bit_cast(float, __builtin_bit_cast(int32_t, p) + (static_cast<int32_t>(whole) << 23));
}

inline float log2_of(float x) {
  const int32_t bits = __builtin_bit_cast(int32_t, x);
  const int32_t power = (bits - 0x3f2aaaab) >> 23;
  const float t = __builtin_bit_cast(float, bits - (power << 23)) - 1.0f;
  float p = -0.227576136f;
  p = p * t + 0.246864321f;
  p = p * t - 0.23574531f;
  p = p * t + 0.285581664f;
  p = p * t - 0.360847412f;
  p = p * t + 0.480965525f;
  p = p * t - 0.721345738f;
  p = p * t + 1.4426948f;
  return p * t + static_cast<float>(power);
}

inline float atan_of(float u) {
  const float size = __builtin_fabsf(u);
  const float z = size > 1.0f ? 1.0f / size : size, s = z * z;
  float p = -4.7803943e-3f;
  p = p * s + 2.45569513e-2f;
  p = p * s - 5.99044275e-2f;
  p = p * s + 9.94273971e-2f;
  p = p * s - 1.40294131e-1f;
  p = p * s + 1.99713741e-1f;
  p = p * s - 3.33320934e-1f;
  p = p * s + 9.99999911e-1f;
  const float small = p * z, angle = size > 1.0f ? 1.57079633f - small : small;
  return __builtin_copysignf(angle, u);
}

}  // namespace
