// Deflection of the masses of a scene for up to kBlock rays; scene_tables.py puts them into rows.

#pragma once

#include "vector_math.h"

namespace {

enum Kind { kPowerLaw, kShear, kQuadrupole, kHalo };

struct Masses {
  const float* rows;
  int64_t n, size;
};

void add_power_law(const float* m, const float* x, const float* y, int64_t n, float* bx, float* by) {
  float u[kBlock], v[kBlock], turn[kBlock], power[kBlock], newer[kBlock], older[kBlock];
  const float cx = m[1], cy = m[2], cos = m[3], sin = m[4], q = m[5], scale = m[6], half = m[7];
  const int64_t n_terms = static_cast<int64_t>(m[8]);
  if (scale == 0.0f) return;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float dx = x[i] - cx, dy = y[i] - cy;
    u[i] = q * (dx * cos + dy * sin);
    v[i] = dy * cos - dx * sin;
    const float minor2 = v[i] * v[i], sum = u[i] * u[i] + minor2;
    const float radius2 = sum > kTiny ? sum : kTiny;
    turn[i] = 2.0f - 4.0f * minor2 / radius2;
    power[i] = scale * exp2_of(half * log2_of(radius2));
    newer[i] = older[i] = 0.0f;
  }
  for (int64_t k = n_terms - 1; k >= 0; --k) {
    const float factor = m[9 + k];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      const float next = turn[i] * newer[i] + (factor - older[i]);
      older[i] = newer[i];
      newer[i] = next;
    }
  }
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float major = (newer[i] - older[i]) * u[i] * power[i];
    const float minor = (newer[i] + older[i]) * v[i] * power[i];
    bx[i] -= major * cos - minor * sin;
    by[i] -= major * sin + minor * cos;
  }
}

void add_shear(const float* m, const float* x, const float* y, int64_t n, float* bx, float* by) {
  const float cx = m[1], cy = m[2], g1 = m[3], g2 = m[4];
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float dx = x[i] - cx, dy = y[i] - cy;
    bx[i] -= g1 * dx + g2 * dy;
    by[i] -= g2 * dx - g1 * dy;
  }
}

void add_quadrupole(const float* m, const float* x, const float* y, int64_t n, float* bx,
                    float* by) {
  const float cx = m[1], cy = m[2], cos = m[3], sin = m[4], strength = m[5];
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float dx = x[i] - cx, dy = y[i] - cy, sum = dx * dx + dy * dy;
    const float inverse = 1.0f / std::sqrt(sum > kTiny ? sum : kTiny);
    const float c = dx * inverse, s = dy * inverse;
    const float c1 = c * cos + s * sin, s1 = s * cos - c * sin;
    const float c2 = c1 * c1 - s1 * s1, s2 = 2.0f * c1 * s1;
    const float outward = (c2 * c2 - s2 * s2) * strength, around = -8.0f * c2 * s2 * strength;
    bx[i] -= c * outward - s * around;
    by[i] -= s * outward + c * around;
  }
}

// Only inside half the scale radius, where the series of the logarithm keeps its digits.
void add_halo(const float* m, const float* x, const float* y, int64_t n, float* bx, float* by) {
  constexpr float kLn2 = 0.693147181f;
  const float cx = m[1], cy = m[2], inverse2 = m[3], scale = m[4];
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float dx = x[i] - cx, dy = y[i] - cy, sum = dx * dx + dy * dy;
    const float x2 = (sum > kTiny ? sum : kTiny) * inverse2;
    const float s = std::sqrt(1.0f - x2), slack = 1.0f / (1.0f + s), half = 0.5f * slack;
    const float t = x2 * half;
    float log = 1.0f / 7.0f;
    log = log * t + 1.0f / 6.0f;
    log = log * t + 0.2f;
    log = log * t + 0.25f;
    log = log * t + 1.0f / 3.0f;
    log = log * t + 0.5f;
    log = log * t + 1.0f;
    const float mean = (kLn2 * (1.0f - 0.5f * log2_of(x2)) * slack - half * log) / s * scale;
    bx[i] -= dx * mean;
    by[i] -= dy * mean;
  }
}

// Positions in the source plane of up to kBlock rays; n is padded.
void lens(const Masses& masses, const float* x, const float* y, int64_t n, float* bx, float* by) {
  std::memcpy(bx, x, n * sizeof(float));
  std::memcpy(by, y, n * sizeof(float));
  for (int64_t k = 0; k < masses.n; ++k) {
    const float* m = masses.rows + k * masses.size;
    switch (static_cast<Kind>(static_cast<int>(m[0]))) {
      case kPowerLaw: add_power_law(m, x, y, n, bx, by); break;
      case kShear: add_shear(m, x, y, n, bx, by); break;
      case kQuadrupole: add_quadrupole(m, x, y, n, bx, by); break;
      case kHalo: add_halo(m, x, y, n, bx, by); break;
    }
  }
}

}  // namespace
