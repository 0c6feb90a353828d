// From the gradients of ellipses back to the Gaussians' centres, axes and rotations, eight at a time.

struct GaussianGradients {
  Floats mean[3], quat[4], scale[3], opacity, colour[3];
  Floats centre[3], U[3][3], fx, fy, cx, cy;  // in the camera frame; what the camera's gradient is made of
};

// Sums of the slots of up to eight Gaussians.
struct SlotSums {
  Floats g, gu, gy, guu, guy, gyy, feature[4];
};

INLINE SlotSums sum_slots(const uint32_t* first_slots, const Slot* slots, const int* rows) {
  SlotSums sums{};
  for (int i = 0; i < LANES; i++) {
    Slot total{};
    for (uint32_t k = first_slots[rows[i]]; k < first_slots[rows[i] + 1]; k++) {
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

// Gradients g_a, g_b of a = along_x scale and b = along_y scale through the opacity's share that the blur leaves,
// sqrt(|n|^2 / determinant), n = a x b; `g_ln` is that of its logarithm.
INLINE void fading_gradient(const Geometry& g, Floats g_ln, Floats g_a[3], Floats g_b[3]) {
  Floats a[3], b[3];
  for (int c = 0; c < 3; c++) a[c] = g.along_x[c] * g.scale[c], b[c] = g.along_y[c] * g.scale[c];
  Floats n[] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
  Floats by_blur = g_ln * (BLUR_PX2 / g.determinant), by_area = (g.var_x + g.var_y - BLUR_PX2) / g.sharp_determinant;
  for (int c = 0; c < 3; c++) {
    int d = (c + 1) % 3, e = (c + 2) % 3;
    g_a[c] = by_blur * (by_area * (b[d] * n[e] - b[e] * n[d]) - a[c]);
    g_b[c] = by_blur * (by_area * (n[d] * a[e] - n[e] * a[d]) - b[c]);
  }
}

// Everything but the colour. With r = var_x - cov_xy^2 / var_y, s = cov_xy / var_y the log opacity is
// ln(opacity) - dy^2 / (2 var_y) - u^2 / (2 r), u = x_px - x - s dy.
INLINE void geometry_gradient(const Geometry& g, const SlotSums& m, const View& view, GaussianGradients& out) {
  Floats inverse_r = 1.f / g.var_x_given_y, inverse_y = 1.f / g.var_y, s = g.cov_xy * inverse_y;
  Floats g_x = m.gu * inverse_r, g_y = m.gy * inverse_y - s * g_x;
  Floats g_s = m.guy * inverse_r, g_r = 0.5f * m.guu * inverse_r * inverse_r;
  Floats g_y_alone = (0.5f * m.gyy * inverse_y - g_s * s) * inverse_y;  // of var_y at fixed r

  Floats g_tx{}, g_ty{}, by_fx{}, by_fy{};  // by_fx: of ln fx, by the ellipse's shape
  Floats fading_a[3]{}, fading_b[3]{};
  if (view.antialiased) fading_gradient(g, m.g, fading_a, fading_b);
  for (int c = 0; c < 3; c++) {
    Floats a = g.along_x[c] * g.scale[c], b = g.along_y[c] * g.scale[c];
    // var_x = a.a, cov_xy = a.b, var_y = b.b. All of r's share is along a - s b: summing it up from the three
    // would cancel digits where a and b are nearly parallel.
    Floats across = 2.f * g_r * (a - s * b), g_cov = g_s * inverse_y;
    Floats g_a = across + g_cov * b + fading_a[c];
    Floats g_b = g_cov * a + 2.f * g_y_alone * b - s * across + fading_b[c];
    out.scale[c] = g_a * g.along_x[c] + g_b * g.along_y[c];
    Floats g_along_x = g_a * g.scale[c] * (view.fx / g.z), g_along_y = g_b * g.scale[c] * (view.fy / g.z);
    out.U[0][c] = g_along_x;
    out.U[1][c] = g_along_y;
    out.U[2][c] = -(g_along_x * g.tx_kept + g_along_y * g.ty_kept);
    g_tx -= g_along_x * g.U[2][c];
    g_ty -= g_along_y * g.U[2][c];
    by_fx += g_a * a;
    by_fy += g_b * b;
  }
  const auto& W = view.R;
  Floats gR[3][3];
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 3; c++) gR[r][c] = W[0][r] * out.U[0][c] + W[1][r] * out.U[1][c] + W[2][r] * out.U[2][c];
  quaternion_gradient(g, gR, out.quat);

  // A kept tx is a constant minus cx, over fx.
  Ints x_is_free = g.tx == g.tx_kept, y_is_free = g.ty == g.ty_kept;
  Floats margin_x = x_is_free ? all(0.f) : g_tx, margin_y = y_is_free ? all(0.f) : g_ty;
  out.fx = g_x * g.tx + (by_fx - margin_x * g.tx_kept) * (1.f / view.fx);
  out.fy = g_y * g.ty + (by_fy - margin_y * g.ty_kept) * (1.f / view.fy);
  out.cx = g_x - margin_x * (1.f / view.fx);
  out.cy = g_y - margin_y * (1.f / view.fy);

  g_tx = (x_is_free ? g_tx : all(0.f)) + g_x * view.fx;
  g_ty = (y_is_free ? g_ty : all(0.f)) + g_y * view.fy;
  Floats inverse_z = 1.f / g.z;
  out.centre[0] = g_tx * inverse_z;
  out.centre[1] = g_ty * inverse_z;
  out.centre[2] = m.feature[3] - (g_tx * g.tx + g_ty * g.ty + by_fx + by_fy) * inverse_z;  // f/z shrinks with z
  for (int c = 0; c < 3; c++)
    out.mean[c] = W[0][c] * out.centre[0] + W[1][c] * out.centre[1] + W[2][c] * out.centre[2];
}
