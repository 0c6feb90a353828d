// Which tiles an ellipse touches: the part of a Gaussian that is at least as opaque as 1/255.

constexpr float LOG2_MIN_ALPHA = -7.994353436858858f;  // log2(1/255): fainter contributions are skipped
constexpr int TILE = 32;           // px; 32 beat 16 by a quarter in the forward pass: fewer entries, longer spans
constexpr float SLACK_PX = 0.01f;  // spans are this much too long, so that only the test at the pixel decides

// Calls visit(tile) for every tile that the ellipse touches, row by row.
template <class Visit>
INLINE void for_each_tile(const Frame& frame, const View& view, const Footprint& f, Visit visit) {
  // The pixels whose centres lie within the box around the ellipse.
  float left_px = clamp(__builtin_ceilf(f.x - f.half_width - SLACK_PX - 0.5f), 0.f, static_cast<float>(view.width));
  float right_px = clamp(f.x + f.half_width + SLACK_PX - 0.5f, -1.f, view.width - 1.f);
  float top_px = clamp(__builtin_ceilf(f.y - f.half_height - SLACK_PX - 0.5f), 0.f, static_cast<float>(view.height));
  float bottom_px = clamp(f.y + f.half_height + SLACK_PX - 0.5f, -1.f, view.height - 1.f);
  if (left_px > right_px || top_px > bottom_px) return;
  int left = static_cast<int>(left_px) / TILE, right = static_cast<int>(right_px) / TILE;
  int top = static_cast<int>(top_px) / TILE, bottom = static_cast<int>(bottom_px) / TILE;
  if (left == right || top == bottom) {  // no tile at a corner of the box that the ellipse may miss
    for (int ty = top; ty <= bottom; ty++)
      for (int tx = left; tx <= right; tx++) visit(ty * frame.tiles_x + tx);
    return;
  }
  float peak = f.log2_opacity - LOG2_MIN_ALPHA, inverse_bend = 1.f / f.bend_x;
  for (int ty = top; ty <= bottom; ty++) {
    // The band of pixel centres of this row of tiles, within the ellipse.
    float low = ty * TILE + 0.5f - f.y, high = low + (TILE - 1);
    low = clamp(low, -f.half_height, f.half_height), high = clamp(high, -f.half_height, f.half_height);
    float at_right = clamp(f.dy_at_right, low, high), at_left = clamp(-f.dy_at_right, low, high);
    float right2 = (peak - f.bend_y * at_right * at_right) * inverse_bend;
    float left2 = (peak - f.bend_y * at_left * at_left) * inverse_bend;
    float end = f.x + f.slope * at_right + __builtin_sqrtf(right2 > 0.f ? right2 : 0.f) + SLACK_PX;
    float start = f.x + f.slope * at_left - __builtin_sqrtf(left2 > 0.f ? left2 : 0.f) - SLACK_PX;
    float last_px = clamp(end - 0.5f, -1.f, right_px);
    float first_px = clamp(__builtin_ceilf(start - 0.5f), left_px, static_cast<float>(view.width));
    if (first_px > last_px) continue;
    int tx_last = static_cast<int>(last_px) / TILE;
    for (int tx = static_cast<int>(first_px) / TILE; tx <= tx_last; tx++) visit(ty * frame.tiles_x + tx);
  }
}
