// Blending inside one tile. A Gaussian visits only the pixels within the chord of its ellipse in each row, eight at a
// time, and only rows with an unfinished pixel there.

constexpr float MAX_ALPHA = 0.999f, MIN_TRANSMITTANCE = 1e-4f;
constexpr int BATCH = 32;  // Gaussians between two looks at which pixels are finished
constexpr int MAX_SPANS = BATCH * TILE * (TILE / LANES) + LANES;

struct alignas(64) TilePixels {
  float transmittance[TILE * TILE];  // negative: finished, its absolute value still counts
  float feature[4][TILE * TILE];     // forward: accumulated; backward: gradient of each channel
  float median_depth[TILE * TILE];
  float gradient_alpha[TILE * TILE];
  float remaining[TILE * TILE];  // gradient . (what is still to be blended behind here)
  int live[TILE + LANES];  // per row, bit x: pixel x is unfinished
};

INLINE Tile tile_at(const Frame& frame, const View& view, int index) {
  int x = index % frame.tiles_x * TILE, y = index / frame.tiles_x * TILE;
  const uint32_t* starts = frame.tile_starts.as<uint32_t>();
  return {x, y, view.width - x < TILE ? view.width - x : TILE, view.height - y < TILE ? view.height - y : TILE,
          starts[index], starts[index + 1]};
}

INLINE void start_transmittance(TilePixels& p, const Tile& tile) {
  for (int row = 0; row < TILE; row++)
    for (int x = 0; x < TILE; x++) p.transmittance[row * TILE + x] = row < tile.height && x < tile.width ? 1.f : -1.f;
}

// Notes which pixels are unfinished; false: none is.
static bool refresh_live(TilePixels& p) {
  uint32_t any = 0;
  for (int row = 0; row < TILE; row++) {
    uint32_t live = 0;
    for (int x = 0; x < TILE; x += LANES) live |= bits_of(load(p.transmittance + row * TILE + x) > 0.f) << x;
    p.live[row] = static_cast<int>(live);
    any |= live;
  }
  return any != 0;
}

// Pieces of eight pixels of the rows that a batch of Gaussians covers. Found for the whole batch before any is blended:
// blending then runs straight on, where it would else stop at the end of every row for a branch nobody can foresee.
struct alignas(64) Spans {
  int end_of[BATCH];       // behind the last piece of each Gaussian
  int offset[MAX_SPANS];   // of the first pixel in the tile
  float u[MAX_SPANS];      // that pixel's u
  float dy[MAX_SPANS];     // of the row
  float peak[MAX_SPANS];   // log2 of the largest opacity in the row
};

// Adds the pieces of one Gaussian behind the first `count`; returns the new count.
INLINE int find_spans(const Footprint& f, const Tile& tile, const TilePixels& p, Spans& spans, int count) {
  float top = f.y - 0.5f - tile.y, x = f.x - 0.5f - tile.x, inverse_bend = 1.f / f.bend_x;
  int row = static_cast<int>(__builtin_ceilf(clamp(top - f.half_height - SLACK_PX, 0.f, TILE)));
  int last_row = static_cast<int>(clamp(top + f.half_height + SLACK_PX, -1.f, TILE - 1.f));
  for (; row <= last_row; row += LANES) {
    Floats dy = iota() + (row - top);
    Floats peak = f.log2_opacity - f.bend_y * dy * dy, center = x + f.slope * dy;
    Floats half = square_root(larger((peak - LOG2_MIN_ALPHA) * inverse_bend, all(0.f))) + SLACK_PX;
    // Truncated: the first pixel in the chord, and the first behind it.
    Ints first = __builtin_convertvector(smaller(larger(center - half + 1.f, all(0.f)), all(TILE)), Ints);
    Ints end = __builtin_convertvector(smaller(larger(center + half + 1.f, all(0.f)), all(TILE)), Ints);
    Ints rows = iota_ints() + row;
    Bits touched = (1u << (Bits)larger(end - 1, Ints{})) * 2u - (1u << (Bits)smaller(first, TILE - 1 + Ints{}));
    Ints is_open = (end > first) & (rows <= last_row) & (((Ints)touched & load(p.live + row)) != 0);
    Ints width = is_open ? (end - first + (LANES - 1)) & -LANES : Ints{};
    first = smaller(first, TILE - width);
    Ints offset = rows * TILE + first;
    Floats u = __builtin_convertvector(first, Floats) - center;
    int done = 0;
    do {
      uint32_t set = bits_of(width > done);
      Ints order = load(LANE_ORDERS.of[set]);
      store(spans.offset + count, __builtin_shuffle(offset + done, order));
      store(spans.u + count, __builtin_shuffle(u + static_cast<float>(done), order));
      store(spans.dy + count, __builtin_shuffle(dy, order));
      store(spans.peak + count, __builtin_shuffle(peak, order));
      count += __builtin_popcount(set);
      done += LANES;
    } while (bits_of(width > done));
  }
  return count;
}

// The pieces of the next Gaussians, from entry `first` on; returns how many Gaussians.
INLINE int find_batch(const Frame& frame, const Tile& tile, uint32_t first, uint32_t end, const TilePixels& p,
                      Spans& spans) {
  const TileEntry* entries = frame.entries.as<TileEntry>() + first;
  const Footprint* footprints = frame.footprints.as<Footprint>();
  int batch = end - first < BATCH ? static_cast<int>(end - first) : BATCH;
  for (int i = 0, count = 0; i < batch; i++) {
    if (first + i + 8 < end) __builtin_prefetch(&footprints[entries[i + 8].splat]);
    spans.end_of[i] = count = find_spans(footprints[entries[i].splat], tile, p, spans, count);
  }
  return batch;
}

// One Gaussian over eight pixels: the rules of 3DGS, the same in both directions.
struct Blend {
  Floats u, unclamped, alpha, before, after, weight;
  Ints is_blended;
};

INLINE Blend blend(TilePixels& p, int offset, float u, float peak, float bend_x) {
  Blend b;
  b.before = load(p.transmittance + offset);
  b.u = iota() + u;
  Floats log2_alpha = peak - bend_x * b.u * b.u;
  Ints is_visible = log2_alpha >= LOG2_MIN_ALPHA;
  b.unclamped = exp2_of_negative(larger(log2_alpha, all(LOG2_MIN_ALPHA)));
  b.alpha = smaller(b.unclamped, all(MAX_ALPHA));
  Floats weight = b.before * b.alpha;
  b.after = b.before - weight;
  b.is_blended = is_visible & (b.after > MIN_TRANSMITTANCE);  // never for finished pixels: theirs is negative
  b.weight = b.is_blended ? weight : all(0.f);
  store(p.transmittance + offset, b.is_blended ? b.after : (is_visible ? minus_absolute(b.before) : b.before));
  return b;
}

template <bool WITH_EXTRA>
INLINE void draw_in_tile(const Footprint& f, const Spans& spans, int begin, int end, TilePixels& p, Extra& extra) {
  for (int k = begin; k < end; k++) {
    int offset = spans.offset[k];
    Blend b = blend(p, offset, spans.u[k], spans.peak[k], f.bend_x);
    for (int c = 0; c < 4; c++) store(p.feature[c] + offset, load(p.feature[c] + offset) + b.weight * f.feature[c]);
    Ints crosses_half = b.is_blended & (b.before > 0.5f) & (b.after <= 0.5f);
    store(p.median_depth + offset, crosses_half ? all(f.feature[3]) : load(p.median_depth + offset));
    if constexpr (WITH_EXTRA) blend_extra(extra, offset, b.weight);
  }
}

static void write_tile(const TilePixels& p, const Tile& tile, const View& view, const float* background,
                       const Pictures& out) {
  for (int row = 0; row < tile.height; row++)
    for (int x = 0; x < tile.width; x++) {
      size_t pixel = static_cast<size_t>(tile.y + row) * view.width + tile.x + x;
      int at = row * TILE + x;
      float transmittance = __builtin_fabsf(p.transmittance[at]);
      for (int k = 0; k < 3; k++) out.rgb[3 * pixel + k] = p.feature[k][at] + transmittance * background[k];
      out.alpha[pixel] = 1.f - transmittance;
      out.depth[pixel] = p.feature[3][at];
      out.median_depth[pixel] = p.median_depth[at];
    }
}

// Returns how many entries it looked at before every pixel was finished.
template <bool WITH_EXTRA>
static uint32_t forward_tile(const Frame& frame, const View& view, const Tile& tile, TilePixels& p, Extra& extra,
                             const float* background, const Pictures& out) {
  if constexpr (WITH_EXTRA) start_extra(extra);
  start_transmittance(p, tile);
  __builtin_memset(p.feature, 0, sizeof(p.feature));
  __builtin_memset(p.median_depth, 0, sizeof(p.median_depth));
  const TileEntry* entries = frame.entries.as<TileEntry>();
  const Footprint* footprints = frame.footprints.as<Footprint>();
  Spans spans;
  uint32_t e = tile.begin;
  while (e < tile.end && refresh_live(p)) {
    int batch = find_batch(frame, tile, e, tile.end, p, spans);
    for (int i = 0, begin = 0; i < batch; begin = spans.end_of[i++]) {
      const TileEntry& entry = entries[e + i];
      if constexpr (WITH_EXTRA) start_entry(extra, entry.splat);
      draw_in_tile<WITH_EXTRA>(footprints[entry.splat], spans, begin, spans.end_of[i], p, extra);
      if constexpr (WITH_EXTRA) write_weight(extra, entry.slot);
    }
    e += batch;
  }
  write_tile(p, tile, view, background, out);
  if constexpr (WITH_EXTRA) write_extra(extra, tile, view, entries, e, out.features);
  return e - tile.begin;
}

static void draw_tiles(Frame& frame, const Splats& s, const View& view, const float* background, const Pictures& out,
                       int threads) {
  int num_tiles = frame.tiles_x * frame.tiles_y;
  uint32_t* used = frame.tile_used.of<uint32_t>(num_tiles);
  float* slot_weights = out.weights ? frame.slot_weights.of<float>(frame.num_entries) : nullptr;
  bool with_extra = s.channels > 0 || slot_weights;
  for_each_part(num_tiles, threads, [&](int t) {
    TilePixels pixels;
    Memory planes;
    Extra extra = extra_of(s, s.channels, planes);
    extra.slot_weights = slot_weights;
    Tile tile = tile_at(frame, view, t);
    used[t] = with_extra ? forward_tile<true>(frame, view, tile, pixels, extra, background, out)
                         : forward_tile<false>(frame, view, tile, pixels, extra, background, out);
  });
}
