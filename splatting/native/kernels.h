// What the native kernels take and return, the same for every instruction set.
//
// Nothing in here may be a template or an inline function of external linkage: the kernels are compiled once per
// instruction set, and the linker would keep one copy of such a function, possibly the one this processor cannot run.
#pragma once

#include <cstddef>
#include <cstdint>

namespace handful {

// Scratch memory that only grows. Its contents are lost when it grows. Aligned to 64 bytes.
struct Memory {
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();
  void reserve(size_t bytes);  // in bindings.cpp: compiled once

  template <class T>
  [[gnu::always_inline]] T* of(size_t count) {
    if (count * sizeof(T) > bytes_) reserve(count * sizeof(T));
    return static_cast<T*>(data_);
  }
  template <class T>
  [[gnu::always_inline]] const T* as() const {
    return static_cast<const T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// A pinhole camera: x_cam = R x_world + t; pixel = (fx x/z + cx, fy y/z + cy); first pixel's centre (0.5, 0.5).
struct View {
  float R[3][3], t[3], center[3];
  float fx, fy, cx, cy, near;
  int width, height;
  bool antialiased;  // the blur fades what it widens
};

// The Gaussians, row-major: means [N,3], quats wxyz [N,4], scales [N,3], opacities [N], sh [N,sh_stored,3], features
// [N,channels]. Of the coefficients sh_used are used; with sh_used = 0 (and sh_stored = 1) `sh` holds plain colours.
struct Splats {
  const float *means, *quats, *scales, *opacities, *sh, *features;
  int count, sh_stored, sh_used, channels;
};

constexpr int CAMERA_NUMBERS = 16;  // [R | t] by rows, fx, fy, cx, cy

// The same shapes, overwritten with the gradients of the loss. `camera` [CAMERA_NUMBERS] may be null: not asked for; so
// may `features`, unless their picture has a gradient.
struct SplatGradients {
  float *means, *quats, *scales, *opacities, *sh, *features, *background, *camera;
};

// What a view gives. Pictures, row-major: rgb [H,W,3], features [H,W,channels], the others [H,W]. Of every Gaussian:
// radius [N] and weight [N], which may be null: not asked for.
struct Pictures {
  float *rgb, *alpha, *depth, *median_depth, *features, *radii, *weights;
};

// Pictures to read: as rendered (median_depth is not looked at), or as gradients. Of the latter depth, median_depth and
// features may be null: the loss does not look at them.
struct PictureValues {
  const float *rgb, *alpha, *depth, *median_depth, *features;
};

// One Gaussian in the picture. With dy = y_px - y and u = x_px - x - slope * dy, its opacity at a pixel is
// 2^(log2_opacity - bend_y dy^2 - bend_x u^2): the completed square keeps its digits for long, thin ellipses.
struct alignas(64) Footprint {
  float x, y, log2_opacity, slope, bend_x, bend_y;
  float half_width, half_height, dy_at_right;  // extent of the visible ellipse; dy at its rightmost point
  float feature[4];                            // red, green, blue, depth
};

// One Gaussian in one tile.
struct TileEntry {
  uint32_t splat, slot;
};

// Gradient of one Gaussian from one tile, summed over pixels. g = dL / d ln(opacity at the pixel).
struct alignas(64) Slot {
  float g, gu, gy, guu, guy, gyy;  // sums of g, g u, g dy, g u^2, g u dy, g dy^2
  float feature[4];
};

// All that one forward pass leaves for its backward pass.
struct Frame {
  Memory footprints, depths;  // of every Gaussian
  // One slot for every tile that a Gaussian touches: the first slot of each Gaussian, and one behind the last; the tile
  // of each slot. A Gaussian without slots is not drawn.
  Memory first_slots, slot_tiles;
  Memory order, keys, scratch, tile_starts, tile_used, entries, slots, tile_background, camera_sums;
  Memory slot_weights, slot_features;  // per slot: a Gaussian's weight in the tile; gradients of its [channels]
  int tiles_x = 0, tiles_y = 0, num_drawn = 0;
  uint32_t num_entries = 0;
};

// What one step of Adam works on: `count` rows of `columns` values each.
struct AdamStep {
  float *value, *mean, *square;
  const float* gradient;
  const float* rates;  // of a row's columns, divided by 1 - beta1^step
  int columns;
  float beta1, beta2, inverse_bias2, epsilon;  // inverse_bias2: 1 / sqrt(1 - beta2^step)
};

// Throws: more slots than their numbers can count. In bindings.cpp, as it needs the C++ library.
[[noreturn]] void refuse_slots();

// The entry points for one instruction set.
struct Kernels {
  void (*forward)(Frame&, const Splats&, const View&, const float* background, const Pictures&, int threads);
  void (*backward)(Frame&, const Splats&, const View&, const PictureValues& rendered,
                   const PictureValues& gradients, const SplatGradients&, int threads);
  double (*photometric_loss)(const float* rgb, const float* target, const uint8_t* valid, int height, int width,
                             float ssim_weight, float* gradient, int threads);
  void (*adam_step)(const AdamStep&, int count, int threads);
  int (*back_to_front)(const float* means, int count, const float row[4], float near, Memory& scratch,
                       uint32_t* order);
  void (*view_colours)(const Splats&, const View&, int count, uint8_t* rgbx);
};

}  // namespace handful
