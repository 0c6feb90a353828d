// (1 - w) L1 + w (1 - SSIM) and its gradient in one walk down the picture: rows are blurred as they come, kept in rings
// of eleven, and leave as gradients ten rows later. SSIM as in 3DGS: 11x11 Gaussian window, sigma 1.5, zero padding.

constexpr int TAPS = 11, REACH = TAPS / 2;
constexpr float WINDOW[TAPS] = {0.0010283801f, 0.0075987581f, 0.0360007721f, 0.1093606895f,
                                0.2130055377f, 0.2660117249f, 0.2130055377f, 0.1093606895f,
                                0.0360007721f, 0.0075987581f, 0.0010283801f};
constexpr float SSIM_C1 = 1e-4f, SSIM_C2 = 9e-4f;  // (0.01)^2 and (0.03)^2 for a range of 1
constexpr int PAD = 16;                            // floats of zeros at both ends of a row, at least 3 x REACH

// The rows y - 5 to y + 5 of PLANES blurred pictures.
template <int PLANES>
struct Ring {
  float* rows[TAPS][PLANES];
  void place(float* memory, int stride) {
    for (int k = 0; k < TAPS; k++)
      for (int p = 0; p < PLANES; p++) rows[k][p] = memory + (static_cast<size_t>(k) * PLANES + p) * stride;
  }
};

// `in` has PAD zeros at both ends. The three colours are interleaved: neighbours are three apart.
INLINE void blur_along(const float* __restrict in, float* __restrict out, int n) {
  for (int x = 0; x < n; x++) {
    float total = 0.f;
    for (int k = 0; k < TAPS; k++) total += WINDOW[k] * in[x + 3 * (k - REACH)];
    out[x] = total;
  }
}

// Blurs plane p of a full ring; `newest` is the place of the row below all others.
template <int PLANES>
INLINE void blur_across(const Ring<PLANES>& ring, int newest, int plane, float* __restrict out, int n) {
  const float* in[TAPS];
  for (int k = 0; k < TAPS; k++) in[k] = ring.rows[(newest + 1 + k) % TAPS][plane];
  for (int x = 0; x < n; x++) {
    float total = 0.f;
    for (int k = 0; k < TAPS; k++) total += WINDOW[k] * in[k][x];
    out[x] = total;
  }
}

struct LossInput {
  const float *rgb, *target;
  const uint8_t* valid;  // null: all are
  int height, width;
  float ssim_weight;
};

// The picture's values in row y, with the target's where the picture is not valid.
INLINE void read_row(const LossInput& in, int y, float* __restrict x, float* __restrict t) {
  int n = 3 * in.width;
  size_t at = static_cast<size_t>(y) * n;
  for (int i = 0; i < n; i++) x[i] = in.rgb[at + i], t[i] = in.target[at + i];
  if (!in.valid) return;
  const uint8_t* valid = in.valid + static_cast<size_t>(y) * in.width;
  for (int i = 0; i < n; i++) x[i] = valid[i / 3] ? x[i] : t[i];
}

// One row of SSIM: its sum, and the derivatives with respect to the blurred x, x^2 + t^2 and x t.
INLINE float ssim_row(const float* __restrict mx, const float* __restrict mt, const float* __restrict squares,
                      const float* __restrict product, float* __restrict e_mean, float* __restrict e_squares,
                      float* __restrict e_product, int n) {
  float total = 0.f;
  for (int i = 0; i < n; i++) {
    float both = mx[i] * mt[i], each = mx[i] * mx[i] + mt[i] * mt[i];
    float n1 = 2.f * both + SSIM_C1, n2 = 2.f * (product[i] - both) + SSIM_C2;
    float i1 = 1.f / (each + SSIM_C1), i2 = 1.f / (squares[i] - each + SSIM_C2);
    float ssim = n1 * n2 * i1 * i2;
    total += ssim;
    e_mean[i] = 2.f * mt[i] * (n2 - n1) * i1 * i2 + 2.f * mx[i] * ssim * (i2 - i1);
    e_squares[i] = -ssim * i2;
    e_product[i] = 2.f * n1 * i1 * i2;
  }
  return total;
}

// Rows of one thread: x and t at hand, products padded for the blur, sums after it.
struct LossRows {
  float *x, *t, *squares, *product;  // padded
  float* blurred[4];
  float* derivative[3];  // padded
  Ring<4> pictures;
  Ring<3> derivatives;

  static constexpr int ROWS = 11 + 7 * TAPS;
  static int stride_of(int n) { return (n + 2 * PAD + 15) / 16 * 16; }

  // `at` holds ROWS rows of stride_of(n) floats.
  LossRows(float* at, int n) {
    int stride = stride_of(n);
    __builtin_memset(at, 0, static_cast<size_t>(ROWS) * stride * sizeof(float));
    float** padded[] = {&x, &t, &squares, &product, &derivative[0], &derivative[1], &derivative[2]};
    for (float** row : padded) *row = at + PAD, at += stride;
    for (float*& row : blurred) row = at, at += stride;
    pictures.place(at, stride);
    derivatives.place(at + static_cast<size_t>(TAPS) * 4 * stride, stride);
  }
};

// Reads row y into ring place `place`; returns its sum of |x - t|.
static float enter_row(const LossInput& in, int y, LossRows& r, int place) {
  int n = 3 * in.width;
  if (y < 0 || y >= in.height) {
    for (float* row : r.pictures.rows[place]) __builtin_memset(row, 0, n * sizeof(float));
    return 0.f;
  }
  read_row(in, y, r.x, r.t);
  float difference = 0.f;
  for (int i = 0; i < n; i++) {
    r.squares[i] = r.x[i] * r.x[i] + r.t[i] * r.t[i];
    r.product[i] = r.x[i] * r.t[i];
    difference += __builtin_fabsf(r.x[i] - r.t[i]);
  }
  const float* planes[] = {r.x, r.t, r.squares, r.product};
  for (int p = 0; p < 4; p++) blur_along(planes[p], r.pictures.rows[place][p], n);
  return difference;
}

// SSIM of row y, whose window has just become complete; returns its sum.
static float compare_row(const LossInput& in, int y, LossRows& r, int newest, int place, bool with_gradient) {
  int n = 3 * in.width;
  if (y < 0 || y >= in.height) {
    for (float* row : r.derivatives.rows[place]) __builtin_memset(row, 0, n * sizeof(float));
    return 0.f;
  }
  for (int p = 0; p < 4; p++) blur_across(r.pictures, newest, p, r.blurred[p], n);
  float total = ssim_row(r.blurred[0], r.blurred[1], r.blurred[2], r.blurred[3], r.derivative[0], r.derivative[1],
                         r.derivative[2], n);
  if (with_gradient)
    for (int p = 0; p < 3; p++) blur_along(r.derivative[p], r.derivatives.rows[place][p], n);
  return total;
}

static void write_gradient_row(const LossInput& in, int y, LossRows& r, int newest, float* gradient) {
  int n = 3 * in.width;
  size_t at = static_cast<size_t>(y) * n;
  for (int p = 0; p < 3; p++) blur_across(r.derivatives, newest, p, r.blurred[p], n);
  read_row(in, y, r.x, r.t);
  float count = static_cast<float>(n) * in.height;
  float l1 = (1.f - in.ssim_weight) / count, structure = -in.ssim_weight / count;
  const float *mean = r.blurred[0], *squares = r.blurred[1], *product = r.blurred[2];
  for (int i = 0; i < n; i++) {
    float x = r.x[i], t = r.t[i];
    float sign = x > t ? l1 : (x < t ? -l1 : 0.f);
    gradient[at + i] = sign + structure * (mean[i] + 2.f * x * squares[i] + t * product[i]);
  }
  if (!in.valid) return;
  const uint8_t* valid = in.valid + static_cast<size_t>(y) * in.width;
  for (int i = 0; i < n; i++) gradient[at + i] = valid[i / 3] ? gradient[at + i] : 0.f;
}

// The rows `range` of the picture; row_loss[y] gets the share of row y.
static void loss_of_rows(const LossInput& in, Range range, float* scratch, double* row_loss, float* gradient) {
  LossRows rows(scratch, 3 * in.width);
  int first = range.begin - 2 * REACH;
  float w = in.ssim_weight;
  for (int y = range.begin; y < range.end; y++) row_loss[y] = 0.;
  for (int y = first; y < range.end + 2 * REACH; y++) {
    auto place = [&](int row) { return (row - first) % TAPS; };
    auto is_ours = [&](int row) { return row >= range.begin && row < range.end; };
    float difference = enter_row(in, y, rows, place(y));
    if (is_ours(y)) row_loss[y] += (1.f - w) * difference;
    int center = y - REACH;
    if (center < first + REACH) continue;
    float ssim = compare_row(in, center, rows, place(y), place(center), gradient != nullptr);
    if (is_ours(center)) row_loss[center] += w * (3. * in.width - ssim);
    int done = center - REACH;
    if (gradient && done >= range.begin) write_gradient_row(in, done, rows, place(center), gradient);
  }
}

// Mean over pixels and colours; `gradient` may be null.
static double photometric_loss(const float* rgb, const float* target, const uint8_t* valid, int height, int width,
                               float ssim_weight, float* gradient, int threads) {
  LossInput in{rgb, target, valid, height, width, ssim_weight};
  Memory sums, rows;
  double* row_loss = sums.of<double>(height);
  size_t per_part = static_cast<size_t>(LossRows::ROWS) * LossRows::stride_of(3 * width);
  float* scratch = rows.of<float>(threads * per_part);
  for_each_part(threads, threads, [&](int part) {
    Range range = chunk(height, part, threads);
    if (range.begin < range.end) loss_of_rows(in, range, scratch + part * per_part, row_loss, gradient);
  });
  double total = 0.;
  for (int y = 0; y < height; y++) total += row_loss[y];
  return total / (3. * width * height);
}
