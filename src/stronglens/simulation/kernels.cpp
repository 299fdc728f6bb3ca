// The two inner loops of the fast path for one CPU thread; kernels.py builds and calls them.
// What they compute is said in fast_source.py and gaussian_light.py, which do it without a compiler.

#include "vector_math.h"

namespace {

struct Image {
  const float* slope_x;
  const float* slope_y;
  const float* offset;
  const float* lens;
  const float* pull;
  const float* shape;
  int64_t n_components;
};

// Brightness at up to kBlock positions; n is padded.
void trace(const Image& image, const float* x, const float* y, int64_t n, float* light) {
  constexpr float kLog2 = 0.693147181f;
  float angle[kBlock], ratio[kBlock];
  const float* a = image.slope_x;
  const float* b = image.slope_y;
  const float* c = image.offset;
  const float flat = image.lens[0], steep = image.lens[1];
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float u = a[0] * x[i] + b[0] * y[i] + c[0];
    const float v = a[1] * x[i] + b[1] * y[i] + c[1];
    const float inverse = 1.0f / std::sqrt(u * u + v * v + kTiny);
    const float w = v * inverse;
    angle[i] = atan_of(u * inverse * flat);
    ratio[i] = log2_of((steep + w) / (steep - w));
  }
  for (int64_t k = 0; k < image.n_components; ++k) {
    const float* pull = image.pull + 4 * k;
    const float power = image.shape[3 * k], center = image.shape[3 * k + 2];
    const float minus_b = image.shape[3 * k + 1] / kLog2;
    const float p0 = pull[0], p1 = pull[1] * kLog2, p2 = pull[2], p3 = pull[3] * kLog2;
    const int64_t j = 2 + 2 * k;
    const float ax = a[j], bx = b[j], cx = c[j], ay = a[j + 1], by = b[j + 1], cy = c[j + 1];
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      const float major = ax * x[i] + bx * y[i] + cx + p0 * angle[i] + p1 * ratio[i];
      const float minor = ay * x[i] + by * y[i] + cy + p2 * angle[i] + p3 * ratio[i];
      const float radius = exp2_of(power * log2_of(major * major + minor * minor + kTiny));
      const float exponent = minus_b * radius;
      const float value = center * exp2_of(exponent > kFloor ? exponent : kFloor);
      light[i] = k == 0 ? value : light[i] + value;
    }
  }
}

// Where the rays of a cell lie around its middle.
struct Cell {
  float x[kBlock], y[kBlock];
  int64_t n;
  Cell(int64_t n_parts, float size) : n(n_parts * n_parts) {
    for (int64_t k = 0; k < n; ++k) {
      x[k] = ((k % n_parts + 0.5f) / n_parts - 0.5f) * size;
      y[k] = ((k / n_parts + 0.5f) / n_parts - 0.5f) * size;
    }
  }
};

// Replace what is brighter than the core's edge by the mean over its cell.
void refine(const Image& image, const float* x, float y, int64_t n, float core, const Cell& cell,
            float* light) {
  const int64_t at_once = kBlock / cell.n;
  float fine_x[kBlock], fine_y[kBlock], fine[kBlock];
  int64_t place[kBlock];
  for (int64_t i = 0; i < n;) {
    int64_t count = 0;
    for (; i < n && count < at_once; ++i) {
      if (light[i] > core) place[count++] = i;
    }
    for (int64_t k = 0; k < count; ++k) {
      for (int64_t part = 0; part < cell.n; ++part) {
        fine_x[k * cell.n + part] = x[place[k]] + cell.x[part];
        fine_y[k * cell.n + part] = y + cell.y[part];
      }
    }
    const int64_t n_rays = count * cell.n;
    for (int64_t k = n_rays; k < padded(n_rays); ++k) fine_x[k] = fine_y[k] = 0.0f;
    trace(image, fine_x, fine_y, padded(n_rays), fine);
    for (int64_t k = 0; k < count; ++k) {
      float sum = 0.0f;
      for (int64_t part = 0; part < cell.n; ++part) sum += fine[k * cell.n + part];
      light[place[k]] = sum / static_cast<float>(cell.n);
    }
  }
}

}  // namespace

// table: a row per image, as RayConstants.table gives it; core: infinite where nothing is refined.
extern "C" void trace_sources(const float* table, int64_t n_images, int64_t n_components,
                              const float* x, int64_t width, const float* y, int64_t height,
                              const float* core, int64_t n_parts, float cell_size, float* light) {
  const Cell cell(n_parts, cell_size);
  const int64_t n_lines = 2 + 2 * n_components, row_size = 3 * n_lines + 2 + 7 * n_components;
  float own_x[kBlock], own_y[kBlock], own[kBlock];
  for (int64_t image = 0; image < n_images; ++image) {
    const float* row = table + image * row_size;
    const float* rest = row + 3 * n_lines;
    const Image constants{row, row + n_lines, row + 2 * n_lines, rest, rest + 2,
                          rest + 2 + 4 * n_components, n_components};
    for (int64_t start = 0; start < width; start += kBlock) {
      const int64_t n = width - start < kBlock ? width - start : kBlock;
      for (int64_t i = 0; i < padded(n); ++i) own_x[i] = x[start + (i < n ? i : 0)];
      for (int64_t j = 0; j < height; ++j) {
        for (int64_t i = 0; i < padded(n); ++i) own_y[i] = y[j];
        trace(constants, own_x, own_y, padded(n), own);
        if (std::isfinite(core[image])) {
          refine(constants, own_x, y[j], n, core[image], cell, own);
        }
        std::memcpy(light + (image * height + j) * width + start, own, n * sizeof(float));
      }
    }
  }
}

// exponents: coefficients of x^2, x y, y^2, x, y, 1 for each Gaussian, in images of n_gaussians.
extern "C" void draw_gaussians(const float* exponents, const float* peaks, int64_t n_images,
                               int64_t n_gaussians, const float* x, int64_t width, const float* y,
                               int64_t height, float* image) {
  constexpr float kPerLog = 1.44269504f;
  float own_x[kBlock], own[kBlock];
  for (int64_t start = 0; start < width; start += kBlock) {
    const int64_t n = width - start < kBlock ? width - start : kBlock;
    for (int64_t i = 0; i < padded(n); ++i) own_x[i] = x[start + (i < n ? i : 0)];
    for (int64_t row = 0; row < n_images * height; ++row) {
      const int64_t k = row / height, j = row % height;
      for (int64_t i = 0; i < padded(n); ++i) own[i] = 0.0f;
      for (int64_t g = k * n_gaussians; g < (k + 1) * n_gaussians; ++g) {
        if (peaks[g] == 0.0f) continue;
        const float* e = exponents + g * 6;
        const float square = e[0] * kPerLog, linear = (e[1] * y[j] + e[3]) * kPerLog;
        const float constant = ((e[2] * y[j] + e[4]) * y[j] + e[5]) * kPerLog;
        // the largest exponent of the row: narrow Gaussians end before the frame does
        if (constant - 0.25f * linear * linear / square < kFaint) continue;
        const float peak = peaks[g];
#pragma GCC ivdep
        for (int64_t i = 0; i < padded(n); ++i) {
          const float exponent = (square * own_x[i] + linear) * own_x[i] + constant;
          own[i] += peak * exp2_of(exponent > kFloor ? exponent : kFloor);
        }
      }
      std::memcpy(image + row * width + start, own, n * sizeof(float));
    }
  }
}
