// From the gradients of single Gaussians to that of the camera.

// Sums over Gaussians, one of every LANES in each lane.
struct CameraSums {
  Floats centre[3], rotation[3][3];  // of the Gaussians' centres in the camera frame; of R
  Floats direction[3];               // of the directions in which the Gaussians are seen
  Floats fx, fy, cx, cy;
};

// The lanes added up.
struct CameraTotals {
  double centre[3], rotation[3][3], direction[3], fx, fy, cx, cy;
};

// x_cam = R x_world + t and U = R R_gaussian. Adds the first `count` lanes.
INLINE void add_to_camera(const Splats& s, const Geometry& geometry, const GaussianGradients& g,
                          const Floats g_direction[3], const int* rows, int count, CameraSums& sums) {
  Ints is_new = iota() < static_cast<float>(count);
  auto add = [&](Floats& sum, Floats value) __attribute__((always_inline)) { sum += is_new ? value : all(0.f); };
  Floats R[3][3];
  rotation_of(geometry, R);
  for (int c = 0; c < 3; c++) {
    Floats world = gather(s.means + c, rows, 3);
    for (int r = 0; r < 3; r++)
      add(sums.rotation[r][c], g.centre[r] * world + g.U[r][0] * R[c][0] + g.U[r][1] * R[c][1] + g.U[r][2] * R[c][2]);
    add(sums.centre[c], g.centre[c]);
    add(sums.direction[c], g_direction[c]);
  }
  add(sums.fx, g.fx), add(sums.fy, g.fy), add(sums.cx, g.cx), add(sums.cy, g.cy);
}

INLINE void add_up(const CameraSums& sums, CameraTotals& totals) {
  for (int r = 0; r < 3; r++) {
    totals.centre[r] += sum(sums.centre[r]);
    totals.direction[r] += sum(sums.direction[r]);
    for (int c = 0; c < 3; c++) totals.rotation[r][c] += sum(sums.rotation[r][c]);
  }
  totals.fx += sum(sums.fx), totals.fy += sum(sums.fy), totals.cx += sum(sums.cx), totals.cy += sum(sums.cy);
}

// The direction is x_world - center = x_world + R' t. Writes [R | t] by rows, fx, fy, cx, cy.
static void write_camera_gradient(const CameraTotals& totals, const View& view, float out[CAMERA_NUMBERS]) {
  for (int r = 0; r < 3; r++) {
    double g_t = totals.centre[r];
    for (int c = 0; c < 3; c++) {
      out[4 * r + c] = static_cast<float>(totals.rotation[r][c] + totals.direction[c] * view.t[r]);
      g_t += totals.direction[c] * view.R[r][c];
    }
    out[4 * r + 3] = static_cast<float>(g_t);
  }
  const double lens[] = {totals.fx, totals.fy, totals.cx, totals.cy};
  for (int k = 0; k < 4; k++) out[12 + k] = static_cast<float>(lens[k]);
}
