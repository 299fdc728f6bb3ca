// Light near a centre, given to cells of the frame so that its flux, place and extent are right;
// cores.py says how it is done without a compiler.

#pragma once

#include "vector_math.h"

namespace {

constexpr int64_t kParts = 3;       // parts along the side of a ray that is split
constexpr int64_t kCoreReach = 2;   // rays on each side of the central one that are refined
constexpr int64_t kAround = 2 * kCoreReach + 3;  // cells along a side that light is spread over
constexpr int64_t kMostPlaces = kParts * (kAround - 2);

inline int64_t whole_of(int64_t index, int64_t power) {
  return index < 0 ? -((power - 1 - index) / power) : index / power;
}

// What cells along an axis get of the light at a place: its own, and of the part in the window around
// the centre the shares of it and of its neighbours.
struct Shares {
  int64_t at;
  float window, near[3];
};

// Places along an axis: `power` to a cell; all counted from where the frame begins.
struct Axis {
  int64_t n;
  Shares shares[kMostPlaces];

  Axis(int64_t start, int64_t n, int64_t power, float center, int64_t first) : n(n) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t index = start + i, whole = whole_of(index, power);
      const float u = (index - whole * power + 0.5f) / power - 0.5f;
      const float far = (whole + 0.5f + u - center) / kCoreReach, left = 1.0f - far * far;
      const float window = left > 0.0f ? left * left : 0.0f, square = u * u + 1.0f / 12.0f;
      shares[i] = {whole - first, window,
                   {0.5f * window * (square - u), window * (1.0f - square), 0.5f * window * (square + u)}};
    }
  }
};

// Adds `share` of the light at places to cells; moved, the part in the window is spread over three.
void put(const Axis& rows, const Axis& columns, const float* light, float share, bool is_moved,
         float* cells) {
  for (int64_t j = 0; j < rows.n; ++j) {
    float own[kAround] = {}, windowed[kAround] = {}, near[kAround] = {};
    for (int64_t i = 0; i < columns.n; ++i) {
      const Shares& to = columns.shares[i];
      const float value = share * light[j * columns.n + i];
      own[to.at] += value;
      windowed[to.at] += to.window * value;
      for (int64_t k = 0; k < 3; ++k) near[to.at + k - 1] += to.near[k] * value;
    }
    const Shares& to = rows.shares[j];
    float* line = cells + to.at * kAround;
    for (int64_t i = 0; i < kAround; ++i) {
      line[i] += own[i];
      if (!is_moved) continue;
      line[i] -= to.window * windowed[i];
      for (int64_t k = 0; k < 3; ++k) line[(k - 1) * kAround + i] += to.near[k] * near[i];
    }
  }
}

}  // namespace
