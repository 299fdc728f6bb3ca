// Frames thinned out, and their sums; fast_scene.py says how it is done without a compiler.

#pragma once

#include <vector>

#include "vector_math.h"

namespace {

// Every second row and column after a binomial filter of six, which keeps sums; in place.
void halve(std::vector<float>& below, std::vector<float>& spare, float* plane, int64_t height,
           int64_t width) {
  static constexpr float kShares[6] = {0.0625f, 0.3125f, 0.625f, 0.625f, 0.3125f, 0.0625f};
  const int64_t rows = height / 2, columns = width / 2;
  spare.assign(width + 4, 0.0f);
  below.assign(rows * width, 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    float* to = below.data() + row * width;
    for (int64_t k = 0; k < 6; ++k) {
      const int64_t from = 2 * row - 2 + k;
      if (from < 0 || from >= height) continue;
      const float* line = plane + from * width;
      for (int64_t i = 0; i < width; ++i) to[i] += kShares[k] * line[i];
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(spare.data() + 2, below.data() + row * width, width * sizeof(float));
    float* to = plane + row * columns;
    const float* line = spare.data();
    for (int64_t i = 0; i < columns; ++i) {
      const float* own = line + 2 * i;
      to[i] = kShares[0] * (own[0] + own[5]) + kShares[1] * (own[1] + own[4]) +
              kShares[2] * (own[2] + own[3]);
    }
  }
}

float sum_of(const float* values, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) lanes[k] += values[i + k];
  }
  double sum = 0.0;
  for (; i < n; ++i) sum += values[i];
  for (int64_t k = 0; k < kLanes; ++k) sum += lanes[k];
  return static_cast<float>(sum);
}

}  // namespace
