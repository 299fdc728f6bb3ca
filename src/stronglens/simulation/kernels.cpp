// The two inner loops of the fast path for one CPU thread; kernels.py builds and calls them.
// What they compute is said in fast_source.py and gaussian_light.py, which do it without a compiler.
// The polynomials are least-squares fits of this project; errors 3e-7 (logarithm), 1e-7 (others).

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
