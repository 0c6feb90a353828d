// From the gradients of the ellipses back to the Gaussians, eight at a time.

struct GaussianGradients {
  Floats mean[3], quat[4], scale[3], opacity, colour[3];
};

// Sums of the slots of up to eight Gaussians.
struct SlotSums {
  Floats g, gu, gy, guu, guy, gyy, feature[4];
};

INLINE SlotSums sum_slots(const Footprint* footprints, const Slot* slots, const int* rows) {
  SlotSums sums{};
  for (int i = 0; i < LANES; i++) {
    const Footprint& f = footprints[rows[i]];
    Slot total{};
    for (uint32_t k = f.first_slot; k < f.first_slot + f.num_slots; k++) {
      const Slot& slot = slots[k];
      total.g += slot.g, total.gu += slot.gu, total.gy += slot.gy;
      total.guu += slot.guu, total.guy += slot.guy, total.gyy += slot.gyy;
      for (int c = 0; c < 4; c++) total.feature[c] += slot.feature[c];
    }
    sums.g[i] = total.g, sums.gu[i] = total.gu, sums.gy[i] = total.gy;
    sums.guu[i] = total.guu, sums.guy[i] = total.guy, sums.gyy[i] = total.gyy;
    for (int c = 0; c < 4; c++) sums.feature[c][i] = total.feature[c];
  }
  return sums;
}

// R = rotation of the unit quaternion; the part of the gradient along the quaternion changes nothing.
INLINE void quaternion_gradient(const Geometry& g, const Floats gR[3][3], Floats out[4]) {
  const Floats &w = g.w, &i = g.i, &j = g.j, &k = g.k;
  Floats gw = 2.f * (i * (gR[2][1] - gR[1][2]) + j * (gR[0][2] - gR[2][0]) + k * (gR[1][0] - gR[0][1]));
  Floats gi = 2.f * (w * (gR[2][1] - gR[1][2]) + j * (gR[1][0] + gR[0][1]) + k * (gR[2][0] + gR[0][2]) -
                     2.f * i * (gR[1][1] + gR[2][2]));
  Floats gj = 2.f * (w * (gR[0][2] - gR[2][0]) + i * (gR[1][0] + gR[0][1]) + k * (gR[2][1] + gR[1][2]) -
                     2.f * j * (gR[0][0] + gR[2][2]));
  Floats gk = 2.f * (w * (gR[1][0] - gR[0][1]) + i * (gR[2][0] + gR[0][2]) + j * (gR[2][1] + gR[1][2]) -
                     2.f * k * (gR[0][0] + gR[1][1]));
  Floats along = gw * w + gi * i + gj * j + gk * k;
  out[0] = (gw - along * w) * g.inverse_norm;
  out[1] = (gi - along * i) * g.inverse_norm;
  out[2] = (gj - along * j) * g.inverse_norm;
  out[3] = (gk - along * k) * g.inverse_norm;
}

// Everything but the colour. With r = var_x - cov_xy^2 / var_y, s = cov_xy / var_y the log opacity is
// ln(opacity) - dy^2 / (2 var_y) - u^2 / (2 r), u = x_px - x - s dy.
INLINE void geometry_gradient(const Geometry& g, const SlotSums& m, const View& view, GaussianGradients& out) {
  Floats inverse_r = 1.f / g.var_x_given_y, inverse_y = 1.f / g.var_y, s = g.cov_xy * inverse_y;
  Floats g_x = m.gu * inverse_r, g_y = m.gy * inverse_y - s * g_x;
  Floats g_s = m.guy * inverse_r, g_r = 0.5f * m.guu * inverse_r * inverse_r;
  Floats g_y_alone = (0.5f * m.gyy * inverse_y - g_s * s) * inverse_y;  // of var_y at fixed r

  Floats g_tx{}, g_ty{}, by_distance{};  // by_distance: both scales f/z shrink with z
  Floats gU[3][3];
  for (int c = 0; c < 3; c++) {
    Floats a = g.along_x[c] * g.scale[c], b = g.along_y[c] * g.scale[c];
    // var_x = a.a, cov_xy = a.b, var_y = b.b. All of r's share is along a - s b: summing it up from the three
    // would cancel digits where a and b are nearly parallel.
    Floats across = 2.f * g_r * (a - s * b), g_cov = g_s * inverse_y;
    Floats g_a = across + g_cov * b;
    Floats g_b = g_cov * a + 2.f * g_y_alone * b - s * across;
    out.scale[c] = g_a * g.along_x[c] + g_b * g.along_y[c];
    Floats g_along_x = g_a * g.scale[c] * (view.fx / g.z), g_along_y = g_b * g.scale[c] * (view.fy / g.z);
    gU[0][c] = g_along_x;
    gU[1][c] = g_along_y;
    gU[2][c] = -(g_along_x * g.tx_kept + g_along_y * g.ty_kept);
    g_tx -= g_along_x * g.U[2][c];
    g_ty -= g_along_y * g.U[2][c];
    by_distance += g_a * a + g_b * b;
  }
  const auto& W = view.R;
  Floats gR[3][3];
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 3; c++) gR[r][c] = W[0][r] * gU[0][c] + W[1][r] * gU[1][c] + W[2][r] * gU[2][c];
  quaternion_gradient(g, gR, out.quat);

  g_tx = (g.tx == g.tx_kept ? g_tx : all(0.f)) + g_x * view.fx;
  g_ty = (g.ty == g.ty_kept ? g_ty : all(0.f)) + g_y * view.fy;
  Floats inverse_z = 1.f / g.z;
  Floats cam_x = g_tx * inverse_z, cam_y = g_ty * inverse_z;
  Floats cam_z = m.feature[3] - (g_tx * g.tx + g_ty * g.ty + by_distance) * inverse_z;
  for (int c = 0; c < 3; c++) out.mean[c] = W[0][c] * cam_x + W[1][c] * cam_y + W[2][c] * cam_z;
}

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
}

static void write_zeros(const Splats& s, int row, const SplatGradients& out) {
  size_t at = row;
  for (int c = 0; c < 3; c++) out.means[3 * at + c] = out.scales[3 * at + c] = 0.f;
  for (int c = 0; c < 4; c++) out.quats[4 * at + c] = 0.f;
  out.opacities[at] = 0.f;
  __builtin_memset(out.sh + at * s.sh_stored * 3, 0, s.sh_stored * 3 * sizeof(float));
}

// `rows` names `count` drawn Gaussians; the rest of its LANES places repeat the last.
static void differentiate_block(const Frame& frame, const Splats& s, const View& view, const int* rows, int count,
                                const SplatGradients& out) {
  const Footprint* footprints = frame.footprints.as<Footprint>();
  SlotSums sums = sum_slots(footprints, frame.slots.as<Slot>(), rows);
  Geometry g = geometry(s, view, rows);
  GaussianGradients gradients;
  geometry_gradient(g, sums, view, gradients);
  gradients.opacity = sums.g / gather(s.opacities, rows, 1);
  for (int c = 0; c < 3; c++)
    for (int i = 0; i < LANES; i++)  // clamped to zero: no gradient
      gradients.colour[c][i] = footprints[rows[i]].feature[c] > 0.f ? sums.feature[c][i] : 0.f;

  Direction d = view_direction(s, view, rows);
  Floats bases[MAX_BASES], g_bases[MAX_BASES]{}, g_direction[3];
  harmonics(s.sh_used, d, bases);
  for (int i = 0; i < count; i++)
    coefficient_gradient(s, rows[i], i, bases, gradients.colour, out.sh, g_bases);
  harmonics_gradient(s.sh_used, d, g_bases, g_direction);

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

static void differentiate_gaussians(const Frame& frame, const Splats& s, const View& view, const SplatGradients& out,
                                    int threads) {
  const Footprint* footprints = frame.footprints.as<Footprint>();
  const Slot* slots = frame.slots.as<Slot>();
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int part = 0; part < threads; part++) {
    Range range = chunk(s.count, part, threads);
    int rows[LANES], count = 0;
    for (int row = range.begin; row < range.end; row++) {
      if (footprints[row].num_slots == 0) write_zeros(s, row, out);
      else rows[count++] = row, __builtin_prefetch(slots + footprints[row].first_slot);  // stored by depth: far apart
      if (count == LANES || (row + 1 == range.end && count > 0)) {
        for (int i = count; i < LANES; i++) rows[i] = rows[count - 1];
        differentiate_block(frame, s, view, rows, count, out);
        count = 0;
      }
    }
  }
}
