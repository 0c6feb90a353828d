// What a tile blends only when asked: any number of further channels, each Gaussian's weight, and the gradient of the
// median depth. The loops of `tiles.h` and `tiles_backward.h` call in here from templates that cost nothing otherwise.

struct Extra {
  const float* all_features;  // [N, stride]
  int stride, channels;       // of a row; of those at work
  const float* features;      // of the Gaussian at hand [channels]
  float* planes;              // [channels][TILE * TILE]; forward: accumulated, backward: gradient of each channel
  Floats* sums;               // backward: gradients of the features at hand [channels]
  float* median_gradient;     // backward [TILE * TILE]
  Floats weight;              // forward: of the Gaussian at hand
  float *slot_weights, *slot_features;  // [entries], null: not asked for; [entries, channels]
};

// Takes its memory from `planes`.
static Extra extra_of(const Splats& s, int channels, Memory& planes) {
  Extra extra{};
  extra.all_features = s.features, extra.stride = s.channels, extra.channels = channels;
  size_t in_planes = static_cast<size_t>(channels) * TILE * TILE;
  extra.planes = planes.of<float>(in_planes + TILE * TILE + static_cast<size_t>(channels) * LANES);
  extra.median_gradient = extra.planes + in_planes;
  extra.sums = reinterpret_cast<Floats*>(extra.median_gradient + TILE * TILE);
  return extra;
}

INLINE void start_extra(Extra& extra) {
  __builtin_memset(extra.planes, 0, static_cast<size_t>(extra.channels) * TILE * TILE * sizeof(float));
}

INLINE void start_entry(Extra& extra, uint32_t splat) {
  extra.features = extra.all_features + static_cast<size_t>(splat) * extra.stride;
  extra.weight = Floats{};
  for (int k = 0; k < extra.channels; k++) extra.sums[k] = Floats{};
}

INLINE void blend_extra(Extra& extra, int offset, Floats weight) {
  extra.weight += weight;
  for (int k = 0; k < extra.channels; k++) {
    float* at = extra.planes + k * TILE * TILE + offset;
    store(at, load(at) + weight * extra.features[k]);
  }
}

INLINE void write_weight(const Extra& extra, uint32_t slot) {
  if (extra.slot_weights) extra.slot_weights[slot] = sum(extra.weight);
}

// Entries from `end` on were not looked at: every pixel was finished.
static void write_extra(const Extra& extra, const Tile& tile, const View& view, const TileEntry* entries, uint32_t end,
                        float* features) {
  if (extra.slot_weights)
    for (uint32_t e = end; e < tile.end; e++) extra.slot_weights[entries[e].slot] = 0.f;
  for (int row = 0; row < tile.height; row++)
    for (int x = 0; x < tile.width; x++) {
      float* out = features + (static_cast<size_t>(tile.y + row) * view.width + tile.x + x) * extra.channels;
      for (int k = 0; k < extra.channels; k++) out[k] = extra.planes[(k * TILE + row) * TILE + x];
    }
}

// Each Gaussian's weights [N], added up slot by slot: the same for any number of threads.
static void add_up_weights(const Frame& frame, int count, float* weights, int threads) {
  const uint32_t* first_slots = frame.first_slots.as<uint32_t>();
  const float* slots = frame.slot_weights.as<float>();
  for_each_piece(count, threads, [&](int first, int end) {
    for (int row = first; row < end; row++) {
      float total = 0.f;
      for (uint32_t slot = first_slots[row]; slot < first_slots[row + 1]; slot++) total += slots[slot];
      weights[row] = total;
    }
  });
}

// Loads the gradients of a tile's pixels and adds to `remaining` what they give to it.
static void read_extra_gradients(Extra& extra, const Tile& tile, const View& view, const PictureValues& rendered,
                                 const PictureValues& gradients, float* remaining) {
  start_extra(extra);
  __builtin_memset(extra.median_gradient, 0, TILE * TILE * sizeof(float));
  for (int row = 0; row < tile.height; row++)
    for (int x = 0; x < tile.width; x++) {
      size_t pixel = static_cast<size_t>(tile.y + row) * view.width + tile.x + x;
      int at = row * TILE + x;
      if (gradients.median_depth) extra.median_gradient[at] = gradients.median_depth[pixel];
      for (int k = 0; k < extra.channels; k++) {
        float gradient = gradients.features[pixel * extra.channels + k];
        extra.planes[k * TILE * TILE + at] = gradient;
        remaining[at] += gradient * rendered.features[pixel * extra.channels + k];
      }
    }
}

// Returns gradient . features, and adds weight x gradient to the features' own gradients.
INLINE Floats differentiate_extra(Extra& extra, int offset, Floats weight) {
  Floats value{};
  for (int k = 0; k < extra.channels; k++) {
    Floats gradient = load(extra.planes + k * TILE * TILE + offset);
    value += gradient * extra.features[k];
    extra.sums[k] += weight * gradient;
  }
  return value;
}

// The median depth is the z of the Gaussian that takes the transmittance across one half.
INLINE Floats median_gradient(const Extra& extra, int offset, Ints crosses_half) {
  return crosses_half ? load(extra.median_gradient + offset) : all(0.f);
}

INLINE void write_feature_gradient(const Extra& extra, uint32_t slot) {
  float* out = extra.slot_features + static_cast<size_t>(slot) * extra.channels;
  for (int k = 0; k < extra.channels; k++) out[k] = sum(extra.sums[k]);
}

INLINE void clear_feature_gradient(const Extra& extra, uint32_t slot) {
  float* out = extra.slot_features + static_cast<size_t>(slot) * extra.channels;
  for (int k = 0; k < extra.channels; k++) out[k] = 0.f;
}

// The features' gradients [N, channels], added up slot by slot: the same for any number of threads.
static void add_up_features(const Frame& frame, const Splats& s, float* out, int threads) {
  const uint32_t* first_slots = frame.first_slots.as<uint32_t>();
  const float* slots = frame.slot_features.as<float>();
  for_each_piece(s.count, threads, [&](int first, int end) {
    for (int row = first; row < end; row++) {
      float* total = out + static_cast<size_t>(row) * s.channels;
      for (int c = 0; c < s.channels; c++) total[c] = 0.f;
      for (uint32_t slot = first_slots[row]; slot < first_slots[row + 1]; slot++)
        for (int c = 0; c < s.channels; c++) total[c] += slots[static_cast<size_t>(slot) * s.channels + c];
    }
  });
}
