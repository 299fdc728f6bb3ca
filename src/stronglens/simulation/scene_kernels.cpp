// Light of whole scenes, lensed or not, on the oversampled frame and thinned out to the work grid.
// kernels.py builds and calls it; fast_scene.py says what it computes and does it without it.

#include <utility>
#include <vector>

#include "lens_masses.h"
#include "spread.h"
#include "thin_out.h"
#include "vector_math.h"

namespace {

constexpr int64_t kCell = 4;        // rays along the side of a cell that is looked at as a whole
constexpr int64_t kColumns = 11;    // numbers that describe a component
constexpr float kFaintCell = 2e-4f; // of the peak of the arc: cells below are not looked into
constexpr float kLargest = 0.45f;   // side of cells from which on all are looked into [arcsec]
constexpr float kMargin = 1.3f;     // how much farther a cell may reach than its neighbours say
constexpr float kNear = 3.0f;       // distance from a component, in rays, within which rays are split
constexpr int64_t kDepth = 3;       // times that a ray may be split
constexpr float kCurved = 1.0f / 24.0f;  // of the second difference: mean over a cell less its middle
constexpr int64_t kCoreDepth = 5;   // times that those around the very centre are split
constexpr float kMostCurved = 0.1f;      // of lensed light that this mean may differ

// Brightness of a component; with `nearer`, of the brightest point that near, in its own units.
void shine(const float* c, const float* x, const float* y, const float* nearer, int64_t n,
           float* value) {
  const float cx = c[0], cy = c[1], xx = c[2], xy = c[3], yy = c[4], power = c[5], fall = c[6];
  const float center = c[7], inverse = 1.0f / c[8];
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float dx = x[i] - cx, dy = y[i] - cy;
    float radius2 = (dx * xx + dy * xy) * dx + dy * dy * yy;
    if (nearer) {
      const float left = std::sqrt(radius2 > 0.0f ? radius2 : 0.0f) - nearer[i] * inverse;
      radius2 = left > 0.0f ? left * left : 0.0f;
    }
    radius2 = radius2 > kTiny ? radius2 : kTiny;
    const float exponent = fall * exp2_of(power * log2_of(radius2));
    value[i] = center * exp2_of(exponent > kFloor ? exponent : kFloor);
  }
}

// A ray, or a part of one, in a place of the frame.
struct Ray {
  float x, y;
  int64_t at;
};

// One image while it is drawn, and the memory that all images use in turn.
struct Picture {
  int64_t height, width, n_bands, n_components;
  float scale;
  const float *components, *fluxes;
  Masses masses;
  std::vector<float> planes, cells, spare, weight, edges;
  std::vector<Ray> split, parts;

  float place_x(float column) const { return (column - 0.5f * (width - 1)) * scale; }
  float place_y(float row) const { return (row - 0.5f * (height - 1)) * scale; }
  const float* component(int64_t k) const { return components + k * kColumns; }
  float flux(int64_t k, int64_t band) const { return fluxes[k * n_bands + band]; }
  float* plane(int64_t band) { return planes.data() + band * height * width; }

  // Light in every band at rays of the image plane; then, if they are at a component's centre, 1.
  void rays(const float* x, const float* y, int64_t n, int64_t depth, float* light) const {
    float bx[kBlock], by[kBlock], value[kBlock];
    lens(masses, x, y, n, bx, by);
    std::memset(light, 0, (n_bands + 1) * kBlock * sizeof(float));
    float* near = light + n_bands * kBlock;
    for (int64_t k = 0; k < n_components; ++k) {
      const float edge = edges[k * (kDepth + 1) + depth];
      shine(component(k), bx, by, nullptr, n, value);
      for (int64_t i = 0; i < n; ++i) near[i] = value[i] > edge ? 1.0f : near[i];
      for (int64_t band = 0; band < n_bands; ++band) {
        const float share = flux(k, band);
        float* line = light + band * kBlock;
#pragma GCC ivdep
        for (int64_t i = 0; i < n; ++i) line[i] += share * value[i];
      }
    }
  }
};

// Brightness of each component where rays are no longer near, for rays split 0, 1, ... times.
void measure_edges(Picture& p) {
  p.edges.resize(p.n_components * (kDepth + 1));
  for (int64_t k = 0; k < p.n_components; ++k) {
    const float* c = p.component(k);
    float distance = kNear * p.scale;
    for (int64_t depth = 0; depth <= kDepth; ++depth, distance /= kParts) {
      const float radius2 = distance * distance * std::sqrt(c[2] * c[4] - 0.25f * c[3] * c[3]);
      const float exponent = c[6] * exp2_of(c[5] * log2_of(radius2 > kTiny ? radius2 : kTiny));
      p.edges[k * (kDepth + 1) + depth] = c[7] * exp2_of(exponent > kFloor ? exponent : kFloor);
    }
  }
}

// Where the light of cells lies: bx, by, largest distance inside, light and what is at most there.
struct Cells {
  int64_t rows, columns, n, stride;
  float* data;
  float* line(int64_t k) const { return data + k * stride; }
};

void look_at_cells(Picture& p, const Cells& cells) {
  float x[kBlock], y[kBlock];
  for (int64_t start = 0; start < cells.n; start += kBlock) {
    const int64_t left = cells.n - start, n = left < kBlock ? left : kBlock;
    for (int64_t i = 0; i < padded(n); ++i) {
      const int64_t at = start + (i < n ? i : 0), row = at / cells.columns * kCell;
      const int64_t column = at % cells.columns * kCell;
      const int64_t last_row = row + kCell < p.height ? row + kCell : p.height;
      const int64_t last_column = column + kCell < p.width ? column + kCell : p.width;
      x[i] = p.place_x(0.5f * (column + last_column - 1));
      y[i] = p.place_y(0.5f * (row + last_row - 1));
    }
    lens(p.masses, x, y, padded(n), cells.line(0) + start, cells.line(1) + start);
  }
}

// Half of the way to the farthest neighbour along x, and the same along y.
void measure_cells(const Cells& cells) {
  const float *bx = cells.line(0), *by = cells.line(1);
  float* reach = cells.line(2);
  for (int64_t at = 0; at < cells.n; ++at) {
    const int64_t row = at / cells.columns, column = at % cells.columns;
    auto way = [&](int64_t other) { return std::hypot(bx[other] - bx[at], by[other] - by[at]); };
    float along_x = 0.0f, along_y = 0.0f;
    if (column > 0) along_x = way(at - 1);
    if (column + 1 < cells.columns) along_x = std::fmax(along_x, way(at + 1));
    if (row > 0) along_y = way(at - cells.columns);
    if (row + 1 < cells.rows) along_y = std::fmax(along_y, way(at + cells.columns));
    reach[at] = kMargin * 0.5f * (along_x + along_y);
  }
}

// The most that cells could hold, their light as if the middles stood for them, and that per band.
void light_cells(Picture& p, const Cells& cells) {
  float value[kBlock];
  for (int64_t start = 0; start < cells.n; start += kBlock) {
    const int64_t left = cells.n - start, n = padded(left < kBlock ? left : kBlock);
    const float *bx = cells.line(0) + start, *by = cells.line(1) + start;
    auto add = [&](int64_t line, float share) {
      float* to = cells.line(line) + start;
#pragma GCC ivdep
      for (int64_t i = 0; i < n; ++i) to[i] += share * value[i];
    };
    for (int64_t k = 0; k < p.n_components; ++k) {
      shine(p.component(k), bx, by, cells.line(2) + start, n, value);
      add(3, p.weight[k]);
      shine(p.component(k), bx, by, nullptr, n, value);
      add(4, p.weight[k]);
      for (int64_t band = 0; band < p.n_bands; ++band) add(5 + band, p.flux(k, band));
    }
  }
}

// The brightest mean of three by three cells.
float peak_of(const Cells& cells) {
  const float* light = cells.line(4);
  float peak = 0.0f;
  for (int64_t row = 1; row + 1 < cells.rows; ++row) {
    for (int64_t column = 1; column + 1 < cells.columns; ++column) {
      float sum = 0.0f;
      for (int64_t j = -1; j <= 1; ++j) {
        const float* at = light + (row + j) * cells.columns + column;
        sum += at[-1] + at[0] + at[1];
      }
      peak = sum > peak ? sum : peak;
    }
  }
  return peak / 9.0f;
}

void fill_cells(Picture& p, const Cells& cells) {
  for (int64_t band = 0; band < p.n_bands; ++band) {
    const float* light = cells.line(5 + band);
    for (int64_t row = 0; row < p.height; ++row) {
      const float* own = light + row / kCell * cells.columns;
      float* to = p.plane(band) + row * p.width;
      for (int64_t column = 0; column < p.width; ++column) to[column] = own[column / kCell];
    }
  }
}

void look_into_cells(Picture& p, const std::vector<int64_t>& chosen, int64_t columns) {
  constexpr int64_t kRays = kCell * kCell, kAtOnce = kBlock / kRays;
  float x[kBlock], y[kBlock];
  float* light = p.spare.data();
  p.split.clear();
  const int64_t n_chosen = static_cast<int64_t>(chosen.size());
  for (int64_t start = 0; start < n_chosen; start += kAtOnce) {
    const int64_t n = (n_chosen - start < kAtOnce ? n_chosen - start : kAtOnce) * kRays;
    int64_t at[kBlock];
    for (int64_t i = 0; i < n; ++i) {
      const int64_t cell = chosen[start + i / kRays];
      const int64_t row = cell / columns * kCell + i % kRays / kCell;
      const int64_t column = cell % columns * kCell + i % kCell;
      at[i] = row < p.height && column < p.width ? row * p.width + column : -1;
      x[i] = p.place_x(column);
      y[i] = p.place_y(row);
    }
    p.rays(x, y, n, 0, light);
    for (int64_t i = 0; i < n; ++i) {
      if (at[i] < 0) continue;
      for (int64_t band = 0; band < p.n_bands; ++band) p.plane(band)[at[i]] = light[band * kBlock + i];
      if (light[p.n_bands * kBlock + i] > 0.0f) p.split.push_back({x[i], y[i], at[i]});
    }
  }
}

// Values in the middles of rays become means over them, where light is smooth; in place. They change
// by no more than a part of themselves: the second difference means nothing at a singular centre.
void average(const Picture& p, float* plane, std::vector<float>& lines, float most) {
  lines.resize(2 * p.width);
  float *above = lines.data(), *own = above + p.width;
  std::memcpy(above, plane, p.width * sizeof(float));
  for (int64_t row = 1; row + 1 < p.height; ++row) {
    float* to = plane + row * p.width;
    const float* below = to + p.width;
    std::memcpy(own, to, p.width * sizeof(float));
#pragma GCC ivdep
    for (int64_t i = 1; i < p.width - 1; ++i) {
      const float more = kCurved * (above[i] + below[i] + own[i - 1] + own[i + 1] - 4.0f * own[i]);
      const float limit = most * own[i];
      to[i] += more > limit ? limit : more < -limit ? -limit : more;
    }
    std::swap(above, own);
  }
}

// Means over the rays that are near a component's centre: parts that are nearer still are split.
void split_rays(Picture& p) {
  constexpr int64_t kRays = kParts * kParts, kAtOnce = kBlock / kRays;
  float x[kBlock], y[kBlock], size = p.scale, share = 1.0f;
  float* light = p.spare.data();
  for (const Ray& ray : p.split) {
    for (int64_t band = 0; band < p.n_bands; ++band) p.plane(band)[ray.at] = 0.0f;
  }
  for (int64_t depth = 1; depth <= kDepth; ++depth) {
    const int64_t n_split = static_cast<int64_t>(p.split.size());
    share /= kRays;
    p.parts.clear();
    for (int64_t start = 0; start < n_split; start += kAtOnce) {
      const int64_t n = (n_split - start < kAtOnce ? n_split - start : kAtOnce) * kRays;
      for (int64_t i = 0; i < padded(n); ++i) {
        const Ray& ray = p.split[start + (i < n ? i / kRays : 0)];
        x[i] = ray.x + ((i % kRays % kParts + 0.5f) / kParts - 0.5f) * size;
        y[i] = ray.y + ((i % kRays / kParts + 0.5f) / kParts - 0.5f) * size;
      }
      p.rays(x, y, padded(n), depth, light);
      for (int64_t i = 0; i < n; ++i) {
        const int64_t at = p.split[start + i / kRays].at;
        if (depth < kDepth && light[p.n_bands * kBlock + i] > 0.0f) {
          p.parts.push_back({x[i], y[i], at});
          continue;
        }
        for (int64_t band = 0; band < p.n_bands; ++band) {
          p.plane(band)[at] += share * light[band * kBlock + i];
        }
      }
    }
    p.split.swap(p.parts);
    size /= kParts;
  }
}

void draw_lensed(Picture& p) {
  const int64_t rows = (p.height + kCell - 1) / kCell, columns = (p.width + kCell - 1) / kCell;
  const int64_t stride = (rows * columns + kBlock) / kBlock * kBlock;
  p.cells.assign(stride * (5 + p.n_bands), 0.0f);
  const Cells cells{rows, columns, rows * columns, stride, p.cells.data()};
  look_at_cells(p, cells);
  measure_cells(cells);
  light_cells(p, cells);
  fill_cells(p, cells);
  const float least = kFaintCell * peak_of(cells);
  std::vector<int64_t> chosen;
  for (int64_t at = 0; at < cells.n; ++at) {
    if (p.scale * kCell > kLargest || cells.line(3)[at] > least) chosen.push_back(at);
  }
  measure_edges(p);
  look_into_cells(p, chosen, columns);
  for (int64_t band = 0; band < p.n_bands; ++band) average(p, p.plane(band), p.cells, kMostCurved);
  split_rays(p);
}

// Mean over a cell of smooth light, from the middles of it and of its neighbours.
inline float mean_at(const float* light, int64_t at, int64_t width) {
  const float around = light[at - 1] + light[at + 1] + light[at - width] + light[at + width];
  return light[at] + kCurved * (around - 4.0f * light[at]);
}

// Means over the inner places of a square of them, of light that is smooth there; side of all.
void means_of(const float* c, float x0, float y0, float size, int64_t side, float* mean) {
  constexpr int64_t kSide = kMostPlaces + 2, kMost = (kSide * kSide + kLanes) / kLanes * kLanes;
  float x[kMost], y[kMost], light[kMost];
  for (int64_t j = 0, at = 0; j < side; ++j) {
    for (int64_t i = 0; i < side; ++i, ++at) x[at] = x0 + i * size, y[at] = y0 + j * size;
  }
  const int64_t n = padded(side * side);
  for (int64_t at = side * side; at < n; ++at) x[at] = x0, y[at] = y0;
  shine(c, x, y, nullptr, n, light);
  for (int64_t j = 1; j < side - 1; ++j) {
    for (int64_t i = 1; i < side - 1; ++i) *mean++ = mean_at(light, j * side + i, side);
  }
}

// What cells around a component's centre lack of the means over them: five by five are split, then as
// many of their parts around the centre, and so on.
void refine_core(Picture& p, int64_t k) {
  const float* c = p.component(k);
  const float left = -0.5f * p.width * p.scale, top = -0.5f * p.height * p.scale;
  const float middle_x = (c[0] - left) / p.scale, middle_y = (c[1] - top) / p.scale;
  auto first = [](float middle) { return std::lrint(middle - 0.5f) - kCoreReach - 1; };
  const int64_t column = first(middle_x), row = first(middle_y);
  float parts[kMostPlaces * kMostPlaces], plain[kAround * kAround], cells[kAround * kAround] = {};
  float size = p.scale, share = 1.0f;
  for (int64_t depth = 0, power = 1; depth < kCoreDepth; ++depth, power *= kParts) {
    const int64_t i = first(middle_x * power), j = first(middle_y * power), n = kAround - 2;
    means_of(c, left + (i + 0.5f) * size, top + (j + 0.5f) * size, size, kAround, plain);
    const Axis rows(j + 1, n, power, middle_y, row), columns(i + 1, n, power, middle_x, column);
    put(rows, columns, plain, -share, depth > 0, cells);
    share /= kParts * kParts, size /= kParts;
    const int64_t fine_i = (i + 1) * kParts, fine_j = (j + 1) * kParts, fine = power * kParts;
    means_of(c, left + (fine_i - 0.5f) * size, top + (fine_j - 0.5f) * size, size, kMostPlaces + 2, parts);
    const Axis fine_rows(fine_j, kMostPlaces, fine, middle_y, row);
    const Axis fine_columns(fine_i, kMostPlaces, fine, middle_x, column);
    put(fine_rows, fine_columns, parts, share, true, cells);
  }
  for (int64_t at = 0; at < kAround * kAround; ++at) {
    const int64_t to_row = row + at / kAround, to_column = column + at % kAround;
    if (to_row < 1 || to_row > p.height - 2 || to_column < 1 || to_column > p.width - 2) continue;
    for (int64_t band = 0; band < p.n_bands; ++band) {
      p.plane(band)[to_row * p.width + to_column] += p.flux(k, band) * cells[at];
    }
  }
}

int64_t clamped(float value, int64_t most) {
  const int64_t whole = static_cast<int64_t>(value);
  return whole < 0 ? 0 : whole > most ? most : whole;
}

void draw_plain(Picture& p) {
  float x[kBlock], y[kBlock], value[kBlock];
  std::memset(p.planes.data(), 0, p.planes.size() * sizeof(float));
  for (int64_t k = 0; k < p.n_components; ++k) {
    const float* c = p.component(k);
    const float middle_x = c[0] / p.scale + 0.5f * (p.width - 1);
    const float middle_y = c[1] / p.scale + 0.5f * (p.height - 1);
    const int64_t left = clamped(std::floor(middle_x - c[9] / p.scale), p.width);
    const int64_t right = clamped(std::ceil(middle_x + c[9] / p.scale) + 1.0f, p.width);
    const int64_t top = clamped(std::floor(middle_y - c[10] / p.scale), p.height);
    const int64_t bottom = clamped(std::ceil(middle_y + c[10] / p.scale) + 1.0f, p.height);
    for (int64_t start = left; start < right; start += kBlock) {
      const int64_t n = right - start < kBlock ? right - start : kBlock;
      for (int64_t i = 0; i < padded(n); ++i) x[i] = p.place_x(start + (i < n ? i : 0));
      for (int64_t row = top; row < bottom; ++row) {
        for (int64_t i = 0; i < padded(n); ++i) y[i] = p.place_y(row);
        shine(c, x, y, nullptr, padded(n), value);
        for (int64_t band = 0; band < p.n_bands; ++band) {
          const float flux = p.flux(k, band);
          float* line = p.plane(band) + row * p.width + start;
#pragma GCC ivdep
          for (int64_t i = 0; i < n; ++i) line[i] += flux * value[i];
        }
      }
    }
  }
  for (int64_t band = 0; band < p.n_bands; ++band) average(p, p.plane(band), p.cells, INFINITY);
  for (int64_t k = 0; k < p.n_components; ++k) refine_core(p, k);
}

void draw(Picture& p) {
  if (!p.masses.rows) {
    draw_plain(p);
    return;
  }
  p.weight.assign(p.n_components, 0.0f);
  for (int64_t k = 0; k < p.n_components; ++k) {
    for (int64_t band = 0; band < p.n_bands; ++band) {
      p.weight[k] = std::fmax(p.weight[k], p.flux(k, band));
    }
  }
  draw_lensed(p);
}

}  // namespace

// frame: height, width, thinning, bands, numbers of a mass. masses and kept may be null: nothing is
// lensed, nothing is kept before it is thinned out.
extern "C" void draw_scenes(const float* components, const float* fluxes, const int64_t* starts,
                            const float* masses, const int64_t* mass_starts, int64_t n_images,
                            const int64_t* frame, float scale, const int64_t* keep,
                            int64_t keep_band, float* kept, float* totals, float* out) {
  Picture p;
  p.height = frame[0], p.width = frame[1], p.n_bands = frame[3], p.scale = scale;
  const int64_t n_rays = p.height * p.width, n_work = n_rays / (frame[2] * frame[2]);
  p.planes.resize(p.n_bands * n_rays);
  p.spare.resize((p.n_bands + 1) * kBlock);
  std::vector<float> line, below;
  for (int64_t image = 0; image < n_images; ++image) {
    p.components = components + starts[image] * kColumns;
    p.fluxes = fluxes + starts[image] * p.n_bands;
    p.n_components = starts[image + 1] - starts[image];
    p.masses = Masses{nullptr, 0, frame[4]};
    if (masses) {
      p.masses.rows = masses + mass_starts[image] * frame[4];
      p.masses.n = mass_starts[image + 1] - mass_starts[image];
    }
    float* to = out + image * p.n_bands * n_work;
    if (p.n_components == 0) {
      std::memset(to, 0, p.n_bands * n_work * sizeof(float));
      std::memset(totals + image * p.n_bands, 0, p.n_bands * sizeof(float));
      continue;
    }
    draw(p);
    if (kept && keep[image] >= 0) {
      std::memcpy(kept + keep[image] * n_rays, p.plane(keep_band), n_rays * sizeof(float));
    }
    for (int64_t band = 0; band < p.n_bands; ++band) {
      totals[image * p.n_bands + band] = sum_of(p.plane(band), n_rays);
      int64_t height = p.height, width = p.width;
      for (int64_t left = frame[2]; left > 1; left /= 2, height /= 2, width /= 2) {
        halve(below, line, p.plane(band), height, width);
      }
      std::memcpy(to + band * n_work, p.plane(band), n_work * sizeof(float));
    }
  }
}
