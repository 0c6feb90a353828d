// What a viewer on a graphics card needs of the Gaussians for one view: their order back to front, and their colours.

// Writes the rows among the first `count` whose depth z = row . (x, y, z, 1) is at least `near`, the farthest first,
// equal depths by index; returns how many. Exact: the passes of `radix_pass` over all bits of z.
static int back_to_front(const float* means, int count, const float row[4], float near, Memory& scratch,
                         uint32_t* order) {
  uint32_t* memory = scratch.of<uint32_t>(3 * static_cast<size_t>(count) + RADIX);
  uint32_t *first_keys = memory, *second_keys = memory + count, *second_order = memory + 2 * static_cast<size_t>(count);
  uint32_t* histogram = memory + 3 * static_cast<size_t>(count);
  int kept = 0;
  for (int i = 0; i < count; i++) {
    const float* mean = means + 3 * static_cast<size_t>(i);
    float z = row[0] * mean[0] + row[1] * mean[1] + row[2] * mean[2] + row[3];
    uint32_t bits;
    __builtin_memcpy(&bits, &z, sizeof(float));
    second_keys[kept] = ~bits;  // positive floats sort like their bits; turned round, the farthest comes first
    second_order[kept] = static_cast<uint32_t>(i);
    kept += z >= near && z < 3e38f;  // not for NaN, either
  }
  radix_pass(second_keys, second_order, first_keys, order, kept, 0, histogram, 1);
  radix_pass(first_keys, order, second_keys, second_order, kept, RADIX_BITS, histogram, 1);
  radix_pass(second_keys, second_order, first_keys, order, kept, 2 * RADIX_BITS, histogram, 1);
  return kept;
}

INLINE uint8_t to_byte(float value) { return static_cast<uint8_t>(clamp(value, 0.f, 1.f) * 255.f + 0.5f); }

// Writes the colours [count, 4] of the first `count` Gaussians as seen from view.center: red, green, blue, rounded and
// clamped to [0, 1]; the fourth byte is left as it is.
static void view_colours(const Splats& s, const View& view, int count, uint8_t* rgbx) {
  for (int first = 0; first < count; first += LANES) {
    int rows[LANES], in_block = count - first < LANES ? count - first : LANES;
    for (int i = 0; i < LANES; i++) rows[i] = first + (i < in_block ? i : in_block - 1);
    Floats bases[MAX_BASES];
    harmonics(s.sh_used, view_direction(s, view, rows), bases);
    for (int i = 0; i < in_block; i++) {
      float colour[3];
      colour_of(s, rows[i], bases, i, colour);
      for (int c = 0; c < 3; c++) rgbx[4 * static_cast<size_t>(rows[i]) + c] = to_byte(colour[c]);
    }
  }
}
