// Blending inside one tile. A Gaussian visits only the aligned 8-pixel blocks that the chord of its ellipse touches in
// each row, and of those only blocks with an unfinished pixel.

constexpr float MAX_ALPHA = 0.999f, MIN_TRANSMITTANCE = 1e-4f;
constexpr int BLOCKS = TILE / LANES;  // per row
constexpr int REFRESH = 32;           // Gaussians between two looks at which blocks are finished

struct alignas(64) TilePixels {
  float transmittance[TILE * TILE];  // negative: finished, its absolute value still counts
  float feature[4][TILE * TILE];     // forward: accumulated; backward: gradient of each channel
  float median_depth[TILE * TILE];
  float gradient_alpha[TILE * TILE];
  float remaining[TILE * TILE];  // gradient . (what is still to be blended behind here)
  uint32_t live[TILE];           // per row, bit b: block b has an unfinished pixel
};

struct Tile {
  int x, y, width, height;  // first pixel, and how much of the tile lies in the picture
  uint32_t begin, end;      // its entries
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

// Notes which blocks have an unfinished pixel; false: none has.
static bool refresh_live(TilePixels& p) {
  uint32_t any = 0;
  for (int row = 0; row < TILE; row++) {
    p.live[row] = 0;
    for (int b = 0; b < BLOCKS; b++) {
      const float* T = p.transmittance + row * TILE + b * LANES;
      bool is_live = false;
      for (int i = 0; i < LANES; i++) is_live |= T[i] > 0.f;
      p.live[row] |= static_cast<uint32_t>(is_live) << b;
    }
    any |= p.live[row];
  }
  return any != 0;
}

// The rows of one ellipse in one tile; index 0 is `first_row`.
struct Chords {
  int first_row, last_row;
  alignas(64) float dy[TILE + LANES], peak[TILE + LANES];  // peak: log2 of the largest opacity in the row
  alignas(64) float center[TILE + LANES];                  // x of that peak, counted from the tile's first pixel centre
  alignas(64) int first_block[TILE + LANES], end_block[TILE + LANES];
};

INLINE void find_chords(const Footprint& f, const Tile& tile, Chords& c) {
  float top = f.y - 0.5f - tile.y;
  c.first_row = static_cast<int>(__builtin_ceilf(clamp(top - f.half_height - SLACK_PX, 0.f, TILE)));
  c.last_row = static_cast<int>(clamp(top + f.half_height + SLACK_PX, -1.f, TILE - 1.f));
  float inverse_bend = 1.f / f.bend_x, x = f.x - 0.5f - tile.x;
  for (int row = c.first_row; row <= c.last_row; row += LANES) {
    int at = row - c.first_row;
    Floats dy = iota() + (row - top);
    Floats peak = f.log2_opacity - f.bend_y * dy * dy, center = x + f.slope * dy;
    Floats half = square_root(larger((peak - LOG2_MIN_ALPHA) * inverse_bend, all(0.f))) + SLACK_PX;
    Floats low = smaller(larger(center - half, all(0.f)), all(TILE));
    Floats high = smaller(larger(center + half + 1.f, all(0.f)), all(TILE));  // truncated: first pixel behind the chord
    Ints first = __builtin_convertvector(low, Ints) >> LOG2_LANES;
    Ints end = (__builtin_convertvector(high, Ints) + (LANES - 1)) >> LOG2_LANES;
    store(c.dy + at, dy), store(c.peak + at, peak), store(c.center + at, center);
    *reinterpret_cast<Ints*>(c.first_block + at) = first;
    *reinterpret_cast<Ints*>(c.end_block + at) = end > first ? end : first;
  }
}

// Blocks of a row to visit, one bit each.
INLINE uint32_t blocks_of(const Chords& c, int at, uint32_t live) {
  return ((1u << c.end_block[at]) - (1u << c.first_block[at])) & live;
}

// One Gaussian over one block of eight pixels: the rules of 3DGS, the same in both directions.
struct Blend {
  Floats u, unclamped, alpha, before, after, weight;
  Ints is_blended;
};

INLINE Blend blend(TilePixels& p, int offset, float first_x, float center, float peak, float bend_x) {
  Blend b;
  b.before = load(p.transmittance + offset);
  b.u = iota() + (first_x - center);
  Floats log2_alpha = peak - bend_x * b.u * b.u;
  Ints is_visible = log2_alpha >= LOG2_MIN_ALPHA;
  b.unclamped = exp2_of_negative(larger(log2_alpha, all(LOG2_MIN_ALPHA)));
  b.alpha = smaller(b.unclamped, all(MAX_ALPHA));
  Floats weight = b.before * b.alpha;
  b.after = b.before - weight;
  b.is_blended = is_visible & (b.after > MIN_TRANSMITTANCE);  // never for finished pixels: theirs is negative
  b.weight = b.is_blended ? weight : all(0.f);
  store(p.transmittance + offset, b.is_blended ? b.after : (is_visible ? -absolute(b.before) : b.before));
  return b;
}

INLINE void draw_in_tile(const Footprint& f, const Chords& c, TilePixels& p) {
  for (int row = c.first_row; row <= c.last_row; row++) {
    int at = row - c.first_row;
    for (uint32_t blocks = blocks_of(c, at, p.live[row]); blocks; blocks &= blocks - 1) {
      int first_x = __builtin_ctz(blocks) * LANES, offset = row * TILE + first_x;
      Blend b = blend(p, offset, first_x, c.center[at], c.peak[at], f.bend_x);
      for (int k = 0; k < 4; k++) store(p.feature[k] + offset, load(p.feature[k] + offset) + b.weight * f.feature[k]);
      Ints crosses_half = b.is_blended & (b.before > 0.5f) & (b.after <= 0.5f);
      Floats median = load(p.median_depth + offset);
      store(p.median_depth + offset, crosses_half ? all(f.feature[3]) : median);
    }
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
static uint32_t forward_tile(const Frame& frame, const View& view, const Tile& tile, TilePixels& p,
                             const float* background, const Pictures& out) {
  start_transmittance(p, tile);
  __builtin_memset(p.feature, 0, sizeof(p.feature));
  __builtin_memset(p.median_depth, 0, sizeof(p.median_depth));
  refresh_live(p);
  const TileEntry* entries = frame.entries.as<TileEntry>();
  const Footprint* footprints = frame.footprints.as<Footprint>();
  Chords chords;
  uint32_t e = tile.begin;
  for (; e < tile.end; e++) {
    if ((e - tile.begin) % REFRESH == REFRESH - 1 && !refresh_live(p)) break;
    if (e + 6 < tile.end) __builtin_prefetch(&footprints[entries[e + 6].splat]);
    const Footprint& f = footprints[entries[e].splat];
    find_chords(f, tile, chords);
    draw_in_tile(f, chords, p);
  }
  write_tile(p, tile, view, background, out);
  return e - tile.begin;
}

static void draw_tiles(Frame& frame, const View& view, const float* background, const Pictures& out, int threads) {
  int num_tiles = frame.tiles_x * frame.tiles_y;
  uint32_t* used = frame.tile_used.of<uint32_t>(num_tiles);
#pragma omp parallel num_threads(threads)
  {
    TilePixels pixels;
#pragma omp for schedule(dynamic)
    for (int t = 0; t < num_tiles; t++)
      used[t] = forward_tile(frame, view, tile_at(frame, view, t), pixels, background, out);
  }
}
