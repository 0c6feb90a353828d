// Gradients inside one tile. Walks front to back once more: with `remaining`, the gradient of all that is blended
// behind a pixel's present place, neither the order of blending nor the last Gaussian of a pixel has to be kept.
//
// For the i-th Gaussian of a pixel, with transmittance T before it, T' after it, value v = grad . feature + grad_alpha
// and rest = sum of weight x value behind it:   dL/dalpha = T v - rest / (1 - alpha) = T (v - rest / T').

template <bool WITH_DEPTH, bool WITH_EXTRA>
INLINE void differentiate_in_tile(const Footprint& f, const Spans& spans, int begin, int end, TilePixels& p,
                                  Extra& extra, Slot& slot) {
  constexpr int CHANNELS = WITH_DEPTH ? 4 : 3;
  Floats g_sum{}, gu{}, gy{}, guu{}, guy{}, gyy{}, feature[4]{};
  for (int k = begin; k < end; k++) {
    int offset = spans.offset[k];
    Blend b = blend(p, offset, spans.u[k], spans.peak[k], f.bend_x);
    Floats value = load(p.gradient_alpha + offset);
    for (int c = 0; c < CHANNELS; c++) {
      Floats gradient = load(p.feature[c] + offset);
      value += gradient * f.feature[c];
      feature[c] += b.weight * gradient;
    }
    if constexpr (WITH_EXTRA) {
      value += differentiate_extra(extra, offset, b.weight);
      feature[3] += median_gradient(extra, offset, b.is_blended & (b.before > 0.5f) & (b.after <= 0.5f));
    }
    Floats rest = load(p.remaining + offset) - b.weight * value;
    store(p.remaining + offset, rest);
    Floats by_alpha = b.before * (value - rest / b.after);
    Floats g = b.is_blended & (b.unclamped < MAX_ALPHA) ? by_alpha * b.alpha : all(0.f);
    Floats by_u = g * b.u, by_y = g * spans.dy[k];
    g_sum += g;
    gu += by_u;
    gy += by_y;
    guu += by_u * b.u;
    guy += by_u * spans.dy[k];
    gyy += by_y * spans.dy[k];
  }
  const Floats leading[] = {g_sum, gu, gy, guu, guy, gyy, feature[0], feature[1]};  // in the order of Slot's members
  store(&slot.g, sums(leading));
  slot.feature[2] = sum(feature[2]);
  slot.feature[3] = WITH_DEPTH || WITH_EXTRA ? sum(feature[3]) : 0.f;
}

// Loads the gradients of a tile's pixels.
static void read_gradients(TilePixels& p, const Tile& tile, const View& view, const PictureValues& rendered,
                           const PictureValues& gradients) {
  __builtin_memset(p.feature, 0, sizeof(p.feature));
  __builtin_memset(p.gradient_alpha, 0, sizeof(p.gradient_alpha));
  __builtin_memset(p.remaining, 0, sizeof(p.remaining));
  for (int row = 0; row < tile.height; row++)
    for (int x = 0; x < tile.width; x++) {
      size_t pixel = static_cast<size_t>(tile.y + row) * view.width + tile.x + x;
      int at = row * TILE + x;
      float remaining = gradients.alpha[pixel] * rendered.alpha[pixel];
      p.gradient_alpha[at] = gradients.alpha[pixel];
      for (int k = 0; k < 3; k++) {
        float gradient = gradients.rgb[3 * pixel + k];
        p.feature[k][at] = gradient;
        remaining += gradient * rendered.rgb[3 * pixel + k];
      }
      if (gradients.depth) {
        p.feature[3][at] = gradients.depth[pixel];
        remaining += gradients.depth[pixel] * rendered.depth[pixel];
      }
      p.remaining[at] = remaining;
    }
}

template <bool WITH_DEPTH, bool WITH_EXTRA>
static void backward_tile(const Frame& frame, const Tile& tile, uint32_t used, TilePixels& p, Extra& extra,
                          Slot* slots) {
  start_transmittance(p, tile);
  const TileEntry* entries = frame.entries.as<TileEntry>();
  const Footprint* footprints = frame.footprints.as<Footprint>();
  Spans spans;
  for (uint32_t e = tile.begin; e < tile.begin + used;) {
    refresh_live(p);
    int batch = find_batch(frame, tile, e, tile.begin + used, p, spans);
    for (int i = 0; i < batch; i++) __builtin_prefetch(&slots[entries[e + i].slot], 1);  // far apart
    for (int i = 0, begin = 0; i < batch; begin = spans.end_of[i++]) {
      const TileEntry& entry = entries[e + i];
      if constexpr (WITH_EXTRA) start_entry(extra, entry.splat);
      differentiate_in_tile<WITH_DEPTH, WITH_EXTRA>(footprints[entry.splat], spans, begin, spans.end_of[i], p, extra,
                                                    slots[entry.slot]);
      if constexpr (WITH_EXTRA) write_feature_gradient(extra, entry.slot);
    }
    e += batch;
  }
  for (uint32_t e = tile.begin + used; e < tile.end; e++) {
    slots[entries[e].slot] = Slot{};
    if constexpr (WITH_EXTRA) clear_feature_gradient(extra, entries[e].slot);
  }
}

// Sum of grad_rgb x final transmittance. Not from 1 - alpha, which has lost the digits of a small transmittance.
static void background_gradient_of(const TilePixels& p, float out[3]) {
  for (int k = 0; k < 3; k++) {
    out[k] = 0.f;
    for (int at = 0; at < TILE * TILE; at++) out[k] += p.feature[k][at] * __builtin_fabsf(p.transmittance[at]);
  }
}

// Fills frame.slots, one per Gaussian and tile: no two threads write the same, and their sums are taken later in a
// fixed order, so that the result does not depend on the number of threads.
static void differentiate_tiles(Frame& frame, const Splats& s, const View& view, const PictureValues& rendered,
                                const PictureValues& gradients, float background_gradient[3], int threads) {
  int num_tiles = frame.tiles_x * frame.tiles_y;
  Slot* slots = frame.slots.of<Slot>(frame.num_entries);
  int channels = gradients.features ? s.channels : 0;
  float* slot_features = frame.slot_features.of<float>(static_cast<size_t>(channels) * frame.num_entries);
  float* backgrounds = frame.tile_background.of<float>(3 * static_cast<size_t>(num_tiles));
  const uint32_t* used = frame.tile_used.as<uint32_t>();
  bool with_extra = channels > 0 || gradients.median_depth;
  for_each_part(num_tiles, threads, [&](int t) {
    TilePixels pixels;
    Memory planes;
    Extra extra = extra_of(s, channels, planes);
    extra.slot_features = slot_features;
    Tile tile = tile_at(frame, view, t);
    read_gradients(pixels, tile, view, rendered, gradients);
    if (with_extra) {
      read_extra_gradients(extra, tile, view, rendered, gradients, pixels.remaining);
      backward_tile<true, true>(frame, tile, used[t], pixels, extra, slots);
    } else if (gradients.depth) backward_tile<true, false>(frame, tile, used[t], pixels, extra, slots);
    else backward_tile<false, false>(frame, tile, used[t], pixels, extra, slots);
    background_gradient_of(pixels, backgrounds + 3 * t);
  });
  double total[3] = {0, 0, 0};
  for (int t = 0; t < num_tiles; t++)
    for (int k = 0; k < 3; k++) total[k] += backgrounds[3 * t + k];
  for (int k = 0; k < 3; k++) background_gradient[k] = static_cast<float>(total[k]);
}
