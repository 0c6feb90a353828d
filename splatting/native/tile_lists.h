// Which Gaussians touch which tile, front to back: one radix sort by depth, then stable counting into tile lists.

constexpr int TILE = 32;         // px; 32 beat 16 by a quarter in the forward pass: fewer entries, longer spans
constexpr float SLACK_PX = 0.01f;  // spans are this much too long, so that only the test at the pixel decides
constexpr int RADIX_BITS = 11, RADIX = 1 << RADIX_BITS;

// Calls visit(tile) for every tile that the ellipse touches, row by row.
template <class Visit>
INLINE void for_each_tile(const Frame& frame, const View& view, const Footprint& f, Visit visit) {
  float top = clamp((f.y - f.half_height) / TILE, 0.f, static_cast<float>(frame.tiles_y));
  float bottom = clamp((f.y + f.half_height) / TILE, -1.f, static_cast<float>(frame.tiles_y - 1));
  float peak = f.log2_opacity - LOG2_MIN_ALPHA, inverse_bend = 1.f / f.bend_x;
  for (int ty = static_cast<int>(top); ty <= static_cast<int>(bottom); ty++) {
    // The band of pixel centres of this row of tiles, within the ellipse.
    float low = ty * TILE + 0.5f - f.y, high = low + (TILE - 1);
    low = clamp(low, -f.half_height, f.half_height), high = clamp(high, -f.half_height, f.half_height);
    float at_right = clamp(f.dy_at_right, low, high), at_left = clamp(-f.dy_at_right, low, high);
    float right2 = (peak - f.bend_y * at_right * at_right) * inverse_bend;
    float left2 = (peak - f.bend_y * at_left * at_left) * inverse_bend;
    float right = f.x + f.slope * at_right + __builtin_sqrtf(right2 > 0.f ? right2 : 0.f) + SLACK_PX;
    float left = f.x + f.slope * at_left - __builtin_sqrtf(left2 > 0.f ? left2 : 0.f) - SLACK_PX;
    float last_px = clamp(right - 0.5f, -1.f, view.width - 1.f);
    float first_px = clamp(__builtin_ceilf(left - 0.5f), 0.f, static_cast<float>(view.width));
    if (first_px > last_px) continue;
    int tx_last = static_cast<int>(last_px) / TILE;
    for (int tx = static_cast<int>(first_px) / TILE; tx <= tx_last; tx++) visit(ty * frame.tiles_x + tx);
  }
}

// One stable pass of the radix sort over [0, count): histogram of each part, offsets in order of parts, scatter.
static void radix_pass(const uint32_t* keys_in, const uint32_t* values_in, uint32_t* keys_out, uint32_t* values_out,
                       int count, int shift, uint32_t* histograms, int parts) {
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; part++) {
    uint32_t* histogram = histograms + static_cast<size_t>(part) * RADIX;
    __builtin_memset(histogram, 0, RADIX * sizeof(uint32_t));
    Range range = chunk(count, part, parts);
    for (int i = range.begin; i < range.end; i++) histogram[(keys_in[i] >> shift) & (RADIX - 1)]++;
  }
  uint32_t start = 0;
  for (int digit = 0; digit < RADIX; digit++)
    for (int part = 0; part < parts; part++) {
      uint32_t& bin = histograms[static_cast<size_t>(part) * RADIX + digit];
      uint32_t size = bin;
      bin = start;
      start += size;
    }
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; part++) {
    uint32_t* next = histograms + static_cast<size_t>(part) * RADIX;
    Range range = chunk(count, part, parts);
    for (int i = range.begin; i < range.end; i++) {
      uint32_t place = next[(keys_in[i] >> shift) & (RADIX - 1)]++;
      keys_out[place] = keys_in[i];
      values_out[place] = values_in[i];
    }
  }
}

// frame.order: the drawn Gaussians by depth, equal depths by index. Positive floats sort like their bits.
static void sort_by_depth(Frame& frame, int count, int parts) {
  const Footprint* footprints = frame.footprints.as<Footprint>();
  uint32_t* order = frame.order.of<uint32_t>(2 * static_cast<size_t>(count));
  uint32_t* keys = frame.keys.of<uint32_t>(2 * static_cast<size_t>(count));
  uint32_t* scratch = frame.scratch.of<uint32_t>(static_cast<size_t>(parts) * (RADIX + 1));
  uint32_t *histograms = scratch, *starts = scratch + static_cast<size_t>(parts) * RADIX;
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; part++) {
    Range range = chunk(count, part, parts);
    starts[part] = 0;
    for (int i = range.begin; i < range.end; i++) starts[part] += footprints[i].num_slots != 0;
  }
  uint32_t drawn = 0;
  for (int part = 0; part < parts; part++) {
    uint32_t size = starts[part];
    starts[part] = drawn;
    drawn += size;
  }
  frame.num_drawn = static_cast<int>(drawn);
  // Three passes swap the halves of the buffers three times: start in the second, end in the first.
  uint32_t *second_order = order + count, *second_keys = keys + count;
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; part++) {
    Range range = chunk(count, part, parts);
    uint32_t place = starts[part];
    for (int i = range.begin; i < range.end; i++) {
      if (footprints[i].num_slots == 0) continue;
      second_order[place] = i;
      __builtin_memcpy(&second_keys[place++], &footprints[i].feature[3], sizeof(float));
    }
  }
  radix_pass(second_keys, second_order, keys, order, frame.num_drawn, 0, histograms, parts);
  radix_pass(keys, order, second_keys, second_order, frame.num_drawn, RADIX_BITS, histograms, parts);
  radix_pass(second_keys, second_order, keys, order, frame.num_drawn, 2 * RADIX_BITS, histograms, parts);
}

// Counts the tiles of each drawn Gaussian: its own slots, and per part the entries of each tile.
static void count_tiles(Frame& frame, const View& view, uint32_t* part_counts, uint32_t* part_slots, int parts) {
  int num_tiles = frame.tiles_x * frame.tiles_y;
  Footprint* footprints = frame.footprints.of<Footprint>(0);
  const uint32_t* order = frame.order.as<uint32_t>();
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; part++) {
    uint32_t* counts = part_counts + static_cast<size_t>(part) * num_tiles;
    __builtin_memset(counts, 0, num_tiles * sizeof(uint32_t));
    uint32_t slots = 0;
    Range range = chunk(frame.num_drawn, part, parts);
    for (int i = range.begin; i < range.end; i++) {
      if (i + 8 < range.end) __builtin_prefetch(&footprints[order[i + 8]]);
      Footprint& f = footprints[order[i]];
      f.first_slot = slots;  // within this part
      for_each_tile(frame, view, f, [&](int tile) { counts[tile]++, slots++; });
      f.num_slots = slots - f.first_slot;
    }
    part_slots[part] = slots;
  }
}

// Turns sizes per tile and part into starts, tile by tile and within a tile part by part: front to back.
static uint32_t starts_from_counts(uint32_t* tile_starts, int num_tiles, uint32_t* part_counts, int parts) {
  uint32_t start = 0;
  for (int tile = 0; tile < num_tiles; tile++) {
    tile_starts[tile] = start;
    for (int part = 0; part < parts; part++) {
      uint32_t& cell = part_counts[static_cast<size_t>(part) * num_tiles + tile];
      uint32_t size = cell;
      cell = start;
      start += size;
    }
  }
  tile_starts[num_tiles] = start;
  return start;
}

// frame.entries: for tile t those from tile_starts[t] to tile_starts[t + 1], front to back.
static void build_tile_lists(Frame& frame, const View& view, int parts) {
  int num_tiles = frame.tiles_x * frame.tiles_y;
  uint32_t* scratch = frame.scratch.of<uint32_t>(static_cast<size_t>(parts) * (num_tiles + 1));
  uint32_t *part_counts = scratch, *part_slots = scratch + static_cast<size_t>(parts) * num_tiles;
  count_tiles(frame, view, part_counts, part_slots, parts);
  frame.num_entries = starts_from_counts(frame.tile_starts.of<uint32_t>(num_tiles + 1), num_tiles, part_counts, parts);
  uint32_t first_slot = 0;
  for (int part = 0; part < parts; part++) {
    uint32_t size = part_slots[part];
    part_slots[part] = first_slot;
    first_slot += size;
  }
  TileEntry* entries = frame.entries.of<TileEntry>(frame.num_entries);
  Footprint* footprints = frame.footprints.of<Footprint>(0);
  const uint32_t* order = frame.order.as<uint32_t>();
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; part++) {
    uint32_t* next = part_counts + static_cast<size_t>(part) * num_tiles;
    Range range = chunk(frame.num_drawn, part, parts);
    for (int i = range.begin; i < range.end; i++) {
      if (i + 8 < range.end) __builtin_prefetch(&footprints[order[i + 8]]);
      Footprint& f = footprints[order[i]];
      f.first_slot += part_slots[part];
      uint32_t slot = f.first_slot;
      for_each_tile(frame, view, f, [&](int tile) { entries[next[tile]++] = {order[i], slot++}; });
    }
  }
}
