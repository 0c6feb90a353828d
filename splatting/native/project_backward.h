// From the gradients of the tiles back to all that the picture was made of.

// Writes the gradients of the coefficients; returns in `g_bases` those of the bases.
INLINE void coefficient_gradient(const Splats& s, int row, int lane, const Floats* bases, const Floats* g_colour,
                                 float* out, Floats* g_bases) {
  size_t at = static_cast<size_t>(row) * s.sh_stored * 3;
  const float* sh = s.sh + at;
  float red = g_colour[0][lane], green = g_colour[1][lane], blue = g_colour[2][lane];
  for (int b = 0; b < s.sh_used; b++) {
    float basis = bases[b][lane];
    out[at + 3 * b] = basis * red, out[at + 3 * b + 1] = basis * green, out[at + 3 * b + 2] = basis * blue;
    g_bases[b][lane] = sh[3 * b] * red + sh[3 * b + 1] * green + sh[3 * b + 2] * blue;
  }
  for (int k = 3 * s.sh_used; k < 3 * s.sh_stored; k++) out[at + k] = 0.f;
  if (s.sh_used == 0) out[at] = red, out[at + 1] = green, out[at + 2] = blue;  // plain colours
}

static void write_zeros(const Splats& s, int row, const SplatGradients& out) {
  size_t at = row;
  for (int c = 0; c < 3; c++) out.means[3 * at + c] = out.scales[3 * at + c] = 0.f;
  for (int c = 0; c < 4; c++) out.quats[4 * at + c] = 0.f;
  out.opacities[at] = 0.f;
  __builtin_memset(out.sh + at * s.sh_stored * 3, 0, s.sh_stored * 3 * sizeof(float));
}

// `rows` names `count` drawn Gaussians; the rest of its LANES places repeat the last.
template <bool WITH_CAMERA>
static void differentiate_block(const Frame& frame, const Splats& s, const View& view, const int* rows, int count,
                                const SplatGradients& out, CameraSums& camera) {
  const Footprint* footprints = frame.footprints.as<Footprint>();
  SlotSums sums = sum_slots(frame.first_slots.as<uint32_t>(), frame.slots.as<Slot>(), rows);
  Geometry g = geometry(s, view, rows);
  GaussianGradients gradients;
  geometry_gradient(g, sums, view, gradients);
  gradients.opacity = sums.g / gather(s.opacities, rows, 1);
  for (int c = 0; c < 3; c++)
    for (int i = 0; i < LANES; i++)  // clamped to zero: no gradient
      gradients.colour[c][i] = footprints[rows[i]].feature[c] > 0.f || s.sh_used == 0 ? sums.feature[c][i] : 0.f;

  Direction d = view_direction(s, view, rows);
  Floats bases[MAX_BASES], g_bases[MAX_BASES]{}, g_direction[3];
  harmonics(s.sh_used, d, bases);
  for (int i = 0; i < count; i++)
    coefficient_gradient(s, rows[i], i, bases, gradients.colour, out.sh, g_bases);
  harmonics_gradient(s.sh_used, d, g_bases, g_direction);
  if (WITH_CAMERA) add_to_camera(s, g, gradients, g_direction, rows, count, camera);

  for (int i = 0; i < count; i++) {
    size_t row = rows[i];
    for (int c = 0; c < 3; c++) {
      out.means[3 * row + c] = gradients.mean[c][i] + g_direction[c][i];
      out.scales[3 * row + c] = gradients.scale[c][i];
    }
    for (int c = 0; c < 4; c++) out.quats[4 * row + c] = gradients.quat[c][i];
    out.opacities[row] = gradients.opacity[i];
  }
}

// Gaussians first .. end - 1.
template <bool WITH_CAMERA>
static void differentiate_part(const Frame& frame, const Splats& s, const View& view, int first, int end,
                               const SplatGradients& out, CameraSums& camera) {
  const uint32_t* first_slots = frame.first_slots.as<uint32_t>();
  int rows[LANES], count = 0;
  for (int row = first; row < end; row++) {
    if (first_slots[row + 1] == first_slots[row]) write_zeros(s, row, out);
    else rows[count++] = row;
    if (count == LANES || (row + 1 == end && count > 0)) {
      for (int i = count; i < LANES; i++) rows[i] = rows[count - 1];
      differentiate_block<WITH_CAMERA>(frame, s, view, rows, count, out, camera);
      count = 0;
    }
  }
}

// The camera's gradient is summed part by part.
static void differentiate_gaussians(Frame& frame, const Splats& s, const View& view, const SplatGradients& out,
                                    int threads) {
  int parts = (s.count + ROWS_PER_PART - 1) / ROWS_PER_PART;
  CameraSums* sums = out.camera ? frame.camera_sums.of<CameraSums>(parts) : nullptr;
  for_each_part(parts, threads, [&](int part) {
    int first = part * ROWS_PER_PART, end = part + 1 == parts ? s.count : first + ROWS_PER_PART;
    CameraSums camera{};
    if (!out.camera) differentiate_part<false>(frame, s, view, first, end, out, camera);
    else differentiate_part<true>(frame, s, view, first, end, out, camera), sums[part] = camera;
  });
  if (!out.camera) return;
  CameraTotals totals{};
  for (int part = 0; part < parts; part++) add_up(sums[part], totals);
  write_camera_gradient(totals, view, out.camera);
}
