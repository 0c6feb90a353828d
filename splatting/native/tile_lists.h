// Which Gaussians touch which tile, front to back: one radix sort by depth, then stable counting into tile lists.

constexpr int RADIX_BITS = 11, RADIX = 1 << RADIX_BITS;

struct Tile {
  int x, y, width, height;  // first pixel, and how much of the tile lies in the picture
  uint32_t begin, end;      // its entries
};

// One stable pass of the radix sort over [0, count): histogram of each part, offsets in order of parts, scatter.
static void radix_pass(const uint32_t* keys_in, const uint32_t* values_in, uint32_t* keys_out, uint32_t* values_out,
                       int count, int shift, uint32_t* histograms, int parts) {
  for_each_part(parts, parts, [&](int part) {
    uint32_t* histogram = histograms + static_cast<size_t>(part) * RADIX;
    __builtin_memset(histogram, 0, RADIX * sizeof(uint32_t));
    Range range = chunk(count, part, parts);
    for (int i = range.begin; i < range.end; i++) histogram[(keys_in[i] >> shift) & (RADIX - 1)]++;
  });
  uint32_t start = 0;
  for (int digit = 0; digit < RADIX; digit++)
    for (int part = 0; part < parts; part++) {
      uint32_t& bin = histograms[static_cast<size_t>(part) * RADIX + digit];
      uint32_t size = bin;
      bin = start;
      start += size;
    }
  for_each_part(parts, parts, [&](int part) {
    uint32_t* next = histograms + static_cast<size_t>(part) * RADIX;
    Range range = chunk(count, part, parts);
    for (int i = range.begin; i < range.end; i++) {
      uint32_t place = next[(keys_in[i] >> shift) & (RADIX - 1)]++;
      keys_out[place] = keys_in[i];
      values_out[place] = values_in[i];
    }
  });
}

// frame.order: the drawn Gaussians by depth, equal depths by index. Positive floats sort like their bits.
static void sort_by_depth(Frame& frame, int count, int parts) {
  const uint32_t* first_slots = frame.first_slots.as<uint32_t>();
  const float* depths = frame.depths.as<float>();
  uint32_t* order = frame.order.of<uint32_t>(2 * static_cast<size_t>(count));
  uint32_t* keys = frame.keys.of<uint32_t>(2 * static_cast<size_t>(count));
  uint32_t* scratch = frame.scratch.of<uint32_t>(static_cast<size_t>(parts) * (RADIX + 1));
  uint32_t *histograms = scratch, *starts = scratch + static_cast<size_t>(parts) * RADIX;
  for_each_part(parts, parts, [&](int part) {
    Range range = chunk(count, part, parts);
    starts[part] = 0;
    for (int i = range.begin; i < range.end; i++) starts[part] += first_slots[i + 1] != first_slots[i];
  });
  uint32_t drawn = 0;
  for (int part = 0; part < parts; part++) {
    uint32_t size = starts[part];
    starts[part] = drawn;
    drawn += size;
  }
  frame.num_drawn = static_cast<int>(drawn);
  // Three passes swap the halves of the buffers three times: start in the second, end in the first.
  uint32_t *second_order = order + count, *second_keys = keys + count;
  for_each_part(parts, parts, [&](int part) {
    Range range = chunk(count, part, parts);
    uint32_t place = starts[part];
    for (int i = range.begin; i < range.end; i++) {
      if (first_slots[i + 1] == first_slots[i]) continue;
      second_order[place] = i;
      __builtin_memcpy(&second_keys[place++], &depths[i], sizeof(float));
    }
  });
  radix_pass(second_keys, second_order, keys, order, frame.num_drawn, 0, histograms, parts);
  radix_pass(keys, order, second_keys, second_order, frame.num_drawn, RADIX_BITS, histograms, parts);
  radix_pass(second_keys, second_order, keys, order, frame.num_drawn, 2 * RADIX_BITS, histograms, parts);
}

// Numbers the slots of all Gaussians in their order, and notes the tile of each.
static void number_slots(Frame& frame, const View& view, int count, int threads) {
  uint32_t* first_slots = frame.first_slots.of<uint32_t>(0);
  uint64_t slots = 0;
  for (int i = 0; i < count; i++) {
    uint32_t size = first_slots[i];
    first_slots[i] = static_cast<uint32_t>(slots);
    slots += size;
  }
  if (slots > UINT32_MAX) refuse_slots();
  first_slots[count] = frame.num_entries = static_cast<uint32_t>(slots);
  uint32_t* slot_tiles = frame.slot_tiles.of<uint32_t>(slots);
  const Footprint* footprints = frame.footprints.as<Footprint>();
  for_each_piece(count, threads, [&](int first, int end) {
    for (int i = first; i < end; i++) {
      if (first_slots[i + 1] == first_slots[i]) continue;
      uint32_t slot = first_slots[i];
      for_each_tile(frame, view, footprints[i], [&](int tile) { slot_tiles[slot++] = tile; });
    }
  });
}

// Turns sizes per tile and part into starts, tile by tile and within a tile part by part: front to back.
static void starts_from_counts(uint32_t* tile_starts, int num_tiles, uint32_t* part_counts, int parts) {
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
}

// frame.entries: for tile t those from tile_starts[t] to tile_starts[t + 1], front to back.
static void build_tile_lists(Frame& frame, int parts) {
  int num_tiles = frame.tiles_x * frame.tiles_y;
  uint32_t* part_counts = frame.scratch.of<uint32_t>(static_cast<size_t>(parts) * num_tiles);
  const uint32_t *order = frame.order.as<uint32_t>(), *first_slots = frame.first_slots.as<uint32_t>();
  const uint32_t* slot_tiles = frame.slot_tiles.as<uint32_t>();
  for_each_part(parts, parts, [&](int part) {
    uint32_t* counts = part_counts + static_cast<size_t>(part) * num_tiles;
    __builtin_memset(counts, 0, num_tiles * sizeof(uint32_t));
    Range range = chunk(frame.num_drawn, part, parts);
    for (int i = range.begin; i < range.end; i++)
      for (uint32_t slot = first_slots[order[i]]; slot < first_slots[order[i] + 1]; slot++) counts[slot_tiles[slot]]++;
  });
  starts_from_counts(frame.tile_starts.of<uint32_t>(num_tiles + 1), num_tiles, part_counts, parts);
  TileEntry* entries = frame.entries.of<TileEntry>(frame.num_entries);
  for_each_part(parts, parts, [&](int part) {
    uint32_t* next = part_counts + static_cast<size_t>(part) * num_tiles;
    Range range = chunk(frame.num_drawn, part, parts);
    for (int i = range.begin; i < range.end; i++)
      for (uint32_t slot = first_slots[order[i]]; slot < first_slots[order[i] + 1]; slot++)
        entries[next[slot_tiles[slot]]++] = {order[i], slot};
  });
}
