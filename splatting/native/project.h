// From Gaussians in the world to ellipses in the picture, eight Gaussians at a time. EWA splatting as in 3DGS
// (Kerbl et al. 2023, eq. 5): the covariance goes through the Jacobian of the projection at the centre.

constexpr float BLUR_PX2 = 0.3f;             // added to the 2D covariance: no ellipse is thinner than a pixel
constexpr float LOG2_E = 1.4426950408889634f;
constexpr float VIEW_MARGIN = 0.3f;          // the Jacobian is taken at most this far outside (x half the view)
constexpr float MIN_QUAT_NORM2 = 1e-24f, MAX_QUAT_NORM2 = 1e36f;

struct Geometry {
  Floats x, y, z, tx, ty;           // centre in the camera frame; x/z and y/z
  Floats tx_kept, ty_kept;          // the same, kept within the margin around the view
  Floats w, i, j, k, norm2, inverse_norm;  // unit quaternion
  Floats scale[3];
  Floats U[3][3];                   // cam_from_gaussian rotation
  Floats along_x[3], along_y[3];    // how far a unit along each axis moves the projection, px; unscaled
  Floats var_x, cov_xy, var_y, var_x_given_y;  // 2D covariance, blur included
  Floats determinant, sharp_determinant;       // of the 2D covariance, with and without the blur
};

INLINE void rotation_of(const Geometry& g, Floats R[3][3]) {
  const Floats &w = g.w, &i = g.i, &j = g.j, &k = g.k;
  R[0][0] = 1.f - 2.f * (j * j + k * k);
  R[0][1] = 2.f * (i * j - w * k);
  R[0][2] = 2.f * (i * k + w * j);
  R[1][0] = 2.f * (i * j + w * k);
  R[1][1] = 1.f - 2.f * (i * i + k * k);
  R[1][2] = 2.f * (j * k - w * i);
  R[2][0] = 2.f * (i * k - w * j);
  R[2][1] = 2.f * (j * k + w * i);
  R[2][2] = 1.f - 2.f * (i * i + j * j);
}

INLINE void covariance(Geometry& g) {
  Floats a[3], b[3];
  for (int c = 0; c < 3; c++) a[c] = g.along_x[c] * g.scale[c], b[c] = g.along_y[c] * g.scale[c];
  Floats aa = a[0] * a[0] + a[1] * a[1] + a[2] * a[2];
  Floats bb = b[0] * b[0] + b[1] * b[1] + b[2] * b[2];
  Floats c0 = a[1] * b[2] - a[2] * b[1], c1 = a[2] * b[0] - a[0] * b[2], c2 = a[0] * b[1] - a[1] * b[0];
  // det(var) by Lagrange's identity: var_x var_y - cov_xy^2 would lose its digits for long ellipses.
  g.sharp_determinant = c0 * c0 + c1 * c1 + c2 * c2;
  g.determinant = g.sharp_determinant + BLUR_PX2 * (aa + bb + BLUR_PX2);
  g.var_x = aa + BLUR_PX2;
  g.var_y = bb + BLUR_PX2;
  g.cov_xy = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  g.var_x_given_y = g.determinant / g.var_y;
}

INLINE Floats kept_within(Floats value, float low, float high) { return smaller(larger(value, all(low)), all(high)); }

INLINE Geometry geometry(const Splats& s, const View& view, const int* rows) {
  Geometry g;
  const auto& W = view.R;
  Floats X = gather(s.means, rows, 3), Y = gather(s.means + 1, rows, 3), Z = gather(s.means + 2, rows, 3);
  g.x = W[0][0] * X + W[0][1] * Y + W[0][2] * Z + view.t[0];
  g.y = W[1][0] * X + W[1][1] * Y + W[1][2] * Z + view.t[1];
  g.z = W[2][0] * X + W[2][1] * Y + W[2][2] * Z + view.t[2];
  g.w = gather(s.quats, rows, 4), g.i = gather(s.quats + 1, rows, 4);
  g.j = gather(s.quats + 2, rows, 4), g.k = gather(s.quats + 3, rows, 4);
  g.norm2 = g.w * g.w + g.i * g.i + g.j * g.j + g.k * g.k;
  g.inverse_norm = 1.f / square_root(g.norm2);
  g.w *= g.inverse_norm, g.i *= g.inverse_norm, g.j *= g.inverse_norm, g.k *= g.inverse_norm;
  Floats R[3][3];
  rotation_of(g, R);
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 3; c++) g.U[r][c] = W[r][0] * R[0][c] + W[r][1] * R[1][c] + W[r][2] * R[2][c];

  float margin_x = VIEW_MARGIN * 0.5f * view.width / view.fx, margin_y = VIEW_MARGIN * 0.5f * view.height / view.fy;
  Floats inverse_z = 1.f / g.z;
  g.tx = g.x * inverse_z, g.ty = g.y * inverse_z;
  g.tx_kept = kept_within(g.tx, -view.cx / view.fx - margin_x, (view.width - view.cx) / view.fx + margin_x);
  g.ty_kept = kept_within(g.ty, -view.cy / view.fy - margin_y, (view.height - view.cy) / view.fy + margin_y);
  Floats per_x = view.fx * inverse_z, per_y = view.fy * inverse_z;
  for (int c = 0; c < 3; c++) {
    g.scale[c] = gather(s.scales + c, rows, 3);
    g.along_x[c] = per_x * (g.U[0][c] - g.tx_kept * g.U[2][c]);
    g.along_y[c] = per_y * (g.U[1][c] - g.ty_kept * g.U[2][c]);
  }
  covariance(g);
  return g;
}

INLINE Direction view_direction(const Splats& s, const View& view, const int* rows) {
  return direction(gather(s.means, rows, 3) - view.center[0], gather(s.means + 1, rows, 3) - view.center[1],
                   gather(s.means + 2, rows, 3) - view.center[2]);
}

INLINE bool are_finite(const float* values, int count) {
  bool all_are = true;
  for (int k = 0; k < count; k++) all_are &= __builtin_fabsf(values[k]) < 3e38f;
  return all_are;
}

// Colour before the clamp at zero.
INLINE void colour_of(const Splats& s, int row, const Floats* bases, int lane, float colour[3]) {
  const float* sh = s.sh + static_cast<size_t>(row) * s.sh_stored * 3;
  if (s.sh_used == 0) {
    for (int c = 0; c < 3; c++) colour[c] = sh[c];
    return;
  }
  float red = 0.5f, green = 0.5f, blue = 0.5f;
  for (int b = 0; b < s.sh_used; b++) {
    float basis = bases[b][lane];
    red += basis * sh[3 * b], green += basis * sh[3 * b + 1], blue += basis * sh[3 * b + 2];
  }
  colour[0] = red, colour[1] = green, colour[2] = blue;
}

struct Ellipses {
  Floats x, y, log2_opacity, slope, bend_x, bend_y, half_width, half_height, dy_at_right;
  Ints is_drawn;
};

INLINE Ellipses ellipses(const Geometry& g, const Splats& s, const View& view, const int* rows) {
  Ellipses e;
  Floats opacity = gather(s.opacities, rows, 1);
  // As much is seen through the blurred ellipse as through the sharp one (Mip-Splatting, Yu et al. 2024, eq. 9).
  Floats shown = view.antialiased ? opacity * square_root(g.sharp_determinant / g.determinant) : opacity;
  for (int i = 0; i < LANES; i++) e.log2_opacity[i] = __builtin_log2f(shown[i] > 1e-30f ? shown[i] : 1e-30f);
  e.x = view.fx * g.tx + view.cx;
  e.y = view.fy * g.ty + view.cy;
  e.slope = g.cov_xy / g.var_y;
  e.bend_x = 0.5f * LOG2_E / g.var_x_given_y;
  e.bend_y = 0.5f * LOG2_E / g.var_y;
  // Where the opacity falls to 1/255: (d' cov^-1 d) = radius2.
  Floats radius2 = larger(2.f / LOG2_E * (e.log2_opacity - LOG2_MIN_ALPHA), all(0.f));
  e.half_width = square_root(radius2 * g.var_x);
  e.half_height = square_root(radius2 * g.var_y);
  e.dy_at_right = g.cov_xy * square_root(radius2 / g.var_x);
  e.is_drawn = (g.z >= view.near) & (opacity <= 1.f) & (e.log2_opacity >= LOG2_MIN_ALPHA) &
               (g.norm2 >= MIN_QUAT_NORM2) & (g.norm2 <= MAX_QUAT_NORM2) & is_finite(g.z) & is_finite(e.x) &
               is_finite(e.y) & is_finite(g.var_x) & is_finite(g.var_y) & is_finite(g.cov_xy) &
               is_finite(e.bend_x) & is_finite(e.dy_at_right) & is_finite(e.slope) & (e.x + e.half_width > 0.f) &
               (e.x - e.half_width < static_cast<float>(view.width)) & (e.y + e.half_height > 0.f) &
               (e.y - e.half_height < static_cast<float>(view.height));
  return e;
}

// Writes the footprints and radii of Gaussians first .. first + count - 1, count <= LANES, and how many tiles each
// touches; what is not drawn touches none and has the radius 0.
static void project_block(Frame& frame, const Splats& s, const View& view, int first, int count, float* radii) {
  Footprint* footprints = frame.footprints.of<Footprint>(0);
  float* depths = frame.depths.of<float>(0);
  uint32_t* num_tiles = frame.first_slots.of<uint32_t>(0);
  int rows[LANES];
  for (int i = 0; i < LANES; i++) rows[i] = first + (i < count ? i : count - 1);
  Geometry g = geometry(s, view, rows);
  Ellipses e = ellipses(g, s, view, rows);
  Floats bases[MAX_BASES];
  harmonics(s.sh_used, view_direction(s, view, rows), bases);
  for (int i = 0; i < count; i++) {
    Footprint& f = footprints[first + i];
    num_tiles[first + i] = 0;
    radii[first + i] = 0.f;
    if (!e.is_drawn[i]) continue;
    if (s.channels > 0 && !are_finite(s.features + static_cast<size_t>(first + i) * s.channels, s.channels)) continue;
    float colour[3];
    colour_of(s, first + i, bases, i, colour);
    if (!(__builtin_fabsf(colour[0]) + __builtin_fabsf(colour[1]) + __builtin_fabsf(colour[2]) < 3e38f)) continue;
    f.x = e.x[i], f.y = e.y[i], f.log2_opacity = e.log2_opacity[i], f.slope = e.slope[i];
    f.bend_x = e.bend_x[i], f.bend_y = e.bend_y[i];
    f.half_width = e.half_width[i], f.half_height = e.half_height[i], f.dy_at_right = e.dy_at_right[i];
    for (int c = 0; c < 3; c++) f.feature[c] = colour[c] > 0.f || s.sh_used == 0 ? colour[c] : 0.f;
    f.feature[3] = g.z[i];
    depths[first + i] = g.z[i];
    radii[first + i] = f.half_width > f.half_height ? f.half_width : f.half_height;
    for_each_tile(frame, view, f, [&](int) { num_tiles[first + i]++; });
  }
}

static void project(Frame& frame, const Splats& s, const View& view, float* radii, int threads) {
  frame.footprints.of<Footprint>(s.count);
  frame.depths.of<float>(s.count);
  frame.first_slots.of<uint32_t>(static_cast<size_t>(s.count) + 1);
  for_each_piece(s.count, threads, [&](int first, int end) {
    for (int row = first; row < end; row += LANES)
      project_block(frame, s, view, row, end - row < LANES ? end - row : LANES, radii);
  });
}
