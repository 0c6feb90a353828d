// Real spherical harmonics of degree 0 to 3 in the order and signs of 3D Gaussian Splatting, eight directions at a
// time. Bases: Sloan, Efficient Spherical Harmonic Evaluation, JCGT 2013.

constexpr int MAX_BASES = 16;
constexpr float C0 = 0.28209479177387814f, C1 = 0.4886025119029199f;
constexpr float C2_XY = 1.0925484305920792f, C2_ZZ = 0.31539156525252005f, C2_XX = 0.5462742152960396f;
constexpr float C3_3 = 0.5900435899266435f, C3_2 = 2.890611442640554f, C3_1 = 0.4570457994644658f;
constexpr float C3_0 = 0.3731763325901154f, C3_2Z = 1.445305721320277f;

struct Direction {
  Floats x, y, z, inverse_length;
};

INLINE Direction direction(Floats dx, Floats dy, Floats dz) {
  Floats inverse = 1.f / square_root(dx * dx + dy * dy + dz * dz);
  return {dx * inverse, dy * inverse, dz * inverse, inverse};
}

INLINE void harmonics(int bases, const Direction& d, Floats* b) {
  b[0] = all(C0);
  if (bases <= 1) return;
  Floats x = d.x, y = d.y, z = d.z;
  b[1] = -C1 * y;
  b[2] = C1 * z;
  b[3] = -C1 * x;
  if (bases <= 4) return;
  Floats xx = x * x, yy = y * y, zz = z * z;
  b[4] = C2_XY * x * y;
  b[5] = -C2_XY * y * z;
  b[6] = C2_ZZ * (3.f * zz - 1.f);
  b[7] = -C2_XY * x * z;
  b[8] = C2_XX * (xx - yy);
  if (bases <= 9) return;
  b[9] = -C3_3 * y * (3.f * xx - yy);
  b[10] = C3_2 * x * y * z;
  b[11] = -C3_1 * y * (5.f * zz - 1.f);
  b[12] = C3_0 * z * (5.f * zz - 3.f);
  b[13] = -C3_1 * x * (5.f * zz - 1.f);
  b[14] = C3_2Z * z * (xx - yy);
  b[15] = -C3_3 * x * (xx - 3.f * yy);
}

// Gradient with respect to the unnormalised direction, given the gradients `w` of the bases.
INLINE void harmonics_gradient(int bases, const Direction& d, const Floats* w, Floats gradient[3]) {
  gradient[0] = gradient[1] = gradient[2] = Floats{};
  if (bases <= 1) return;
  Floats x = d.x, y = d.y, z = d.z;
  Floats gx = -C1 * w[3], gy = -C1 * w[1], gz = C1 * w[2];
  if (bases > 4) {
    gx += C2_XY * (y * w[4] - z * w[7]) + 2.f * C2_XX * x * w[8];
    gy += C2_XY * (x * w[4] - z * w[5]) - 2.f * C2_XX * y * w[8];
    gz += 6.f * C2_ZZ * z * w[6] - C2_XY * (y * w[5] + x * w[7]);
  }
  if (bases > 9) {
    Floats xx = x * x, yy = y * y, zz = z * z;
    gx += -6.f * C3_3 * x * y * w[9] + C3_2 * y * z * w[10] - C3_1 * (5.f * zz - 1.f) * w[13] +
          2.f * C3_2Z * x * z * w[14] - 3.f * C3_3 * (xx - yy) * w[15];
    gy += -3.f * C3_3 * (xx - yy) * w[9] + C3_2 * x * z * w[10] - C3_1 * (5.f * zz - 1.f) * w[11] -
          2.f * C3_2Z * y * z * w[14] + 6.f * C3_3 * x * y * w[15];
    gz += C3_2 * x * y * w[10] - 10.f * C3_1 * z * (y * w[11] + x * w[13]) + C3_0 * (15.f * zz - 3.f) * w[12] +
          C3_2Z * (xx - yy) * w[14];
  }
  Floats along = gx * x + gy * y + gz * z;  // only the part across the direction turns it
  gradient[0] = (gx - along * x) * d.inverse_length;
  gradient[1] = (gy - along * y) * d.inverse_length;
  gradient[2] = (gz - along * z) * d.inverse_length;
}
