// Normalised cross-correlation of a whole depth hypothesis, and the check of depth maps against one another.
//
// A hypothesis is a map of inverse depth over the whole reference photo. Every source is warped by it and compared
// through a sliding window, so neighbouring pixels share all sums. The map carries the slope of the surface with it:
// windows are not fronto-parallel. The work is cut into strips of fixed height, which makes the result independent
// of the number of threads.
#include "kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace handful::HANDFUL_ISA {
namespace {

constexpr int kStripRows = 32;          // strip plus window sums stay in the second-level cache
// Grey levels squared, added to variances: flat windows score 0, not noise. Three times the rounding of 8-bit grey;
// 1 confirms 4 to 6 % fewer pixels of plain surfaces and gains no accuracy.
constexpr float kNoise = 0.25f;
constexpr float kFixedPoint = 1.0f / 256.0f;
constexpr float kMinDivisor = 1e-6f;

// Row index mirrored about the image's edge (the edge pixel twice), clamped for images smaller than the window.
int mirrored(int row, int size) {
    if (row < 0) row = -row - 1;
    if (row >= size) row = 2 * size - 1 - row;
    return std::clamp(row, 0, size - 1);
}

// Row buffers of one thread.
class Workspace {
public:
    Workspace(int width, int radius, int num_best)
        : padded_width(width + 2 * radius), ring_rows(2 * radius + 1), data_(size(width, radius, num_best)) {
        float* at = data_.data();
        auto take = [&at](std::size_t count) { float* begin = at; at += count; return begin; };
        warped = take(padded_width);
        products = take(2 * padded_width);
        for (int quantity = 0; quantity < 3; ++quantity) {
            ring[quantity] = take(std::size_t(ring_rows) * width);
            column[quantity] = take(width);
        }
        seen = take(std::size_t(ring_rows) * width);
        for (int rank = 0; rank < num_best; ++rank) best[rank] = take(std::size_t(kStripRows) * width);
    }

    int padded_width, ring_rows;
    float* warped;           // [padded_width] a row of the source seen from the reference
    float* products;         // [2, padded_width] its square and its product with the reference
    float* ring[3];          // [ring_rows, width] row sums of warped, square, product
    float* column[3];        // [width] window sums
    float* seen;             // [ring_rows, width] 1 where the source sees the pixel
    float* best[kMaxBest];   // [kStripRows, width] largest correlations, in descending order

private:
    static std::size_t size(int width, int radius, int num_best) {
        const std::size_t rows = 2 * radius + 1;
        return 3 * std::size_t(width + 2 * radius) + (4 * rows + 3 + std::size_t(num_best) * kStripRows) * width;
    }
    std::vector<float> data_;
};

// Sample one row of a source where the hypothesis puts it: bilinear, edge pixels repeated outside.
void warp_row(const Source& source, const float* __restrict inverse_depth, int y, int width, float* __restrict warped,
              float* __restrict seen) {
    const float* H = source.from_pixel;
    const float* e = source.epipole;
    const float v = float(y) + 0.5f;
    const float c0 = H[1] * v + H[2], c1 = H[4] * v + H[5], c2 = H[7] * v + H[8];
    const float h0 = H[0], h1 = H[3], h2 = H[6], e0 = e[0], e1 = e[1], e2 = e[2];
    const float last_x = float(source.width - 1), last_y = float(source.height - 1);
    const float cell_x = float(std::max(source.width - 2, 0)), cell_y = float(std::max(source.height - 2, 0));
    const int stride = source.width, below = source.height > 1 ? source.width : 0;
    const std::uint32_t* __restrict pairs = source.pairs;
#pragma omp simd
    for (int x = 0; x < width; ++x) {
        const float u = float(x) + 0.5f, q = inverse_depth[x];
        const float divisor = h2 * u + c2 + e2 * q;
        const bool in_front = divisor > kMinDivisor;
        const float scale = 1.0f / (in_front ? divisor : 1.0f);
        const float sx = (h0 * u + c0 + e0 * q) * scale - 0.5f, sy = (h1 * u + c1 + e1 * q) * scale - 0.5f;
        const float px = std::min(std::max(sx, 0.0f), last_x), py = std::min(std::max(sy, 0.0f), last_y);
        const bool inside = in_front & (px == sx) & (py == sy);
        const int ix = int(std::min(px, cell_x)), iy = int(std::min(py, cell_y));
        const float fx = px - float(ix), fy = py - float(iy);
        const int at = iy * stride + ix;
        const std::int32_t top = std::int32_t(pairs[at]), bottom = std::int32_t(pairs[at + below]);
        const float t0 = float(top & 0xffff), t1 = float((top >> 16) & 0xffff);
        const float b0 = float(bottom & 0xffff), b1 = float((bottom >> 16) & 0xffff);
        const float upper = t0 + fx * (t1 - t0), lower = b0 + fx * (b1 - b0);
        warped[x] = (upper + fy * (lower - upper)) * kFixedPoint - kGreyOffset;
        seen[x] = inside ? 1.0f : 0.0f;
    }
    if (source.valid == nullptr) return;
    for (int x = 0; x < width; ++x) {
        if (seen[x] == 0.0f) continue;
        const float u = float(x) + 0.5f, q = inverse_depth[x], scale = 1.0f / (h2 * u + c2 + e2 * q);
        const int ix = std::clamp(int((h0 * u + c0 + e0 * q) * scale), 0, source.width - 1);
        const int iy = std::clamp(int((h1 * u + c1 + e1 * q) * scale), 0, source.height - 1);
        seen[x] = source.valid[std::size_t(iy) * source.width + ix] ? 1.0f : 0.0f;
    }
}

void mirror_columns(float* row, int width, int radius) {
    for (int k = 0; k < radius; ++k) {
        row[radius - 1 - k] = row[radius + std::min(k, width - 1)];
        row[radius + width + k] = row[radius + std::max(width - 1 - k, 0)];
    }
}

// Slide the row sums of `values` into the window sums: the new row comes, the oldest in the ring goes.
void add_row(const float* __restrict values, int width, int window, float* __restrict ring, float* __restrict column) {
#pragma omp simd
    for (int x = 0; x < width; ++x) {
        float sum = 0.0f;
        for (int k = 0; k < window; ++k) sum += values[x + k];
        column[x] += sum - ring[x];
        ring[x] = sum;
    }
}

template <int Window>
void add_row_fixed(const float* __restrict values, int width, float* __restrict ring, float* __restrict column) {
#pragma omp simd
    for (int x = 0; x < width; ++x) {
        float sum = values[x];
#pragma GCC unroll 16
        for (int k = 1; k < Window; ++k) sum += values[x + k];
        column[x] += sum - ring[x];
        ring[x] = sum;
    }
}

void slide(const float* values, int width, int window, float* ring, float* column) {
    if (window == 7) return add_row_fixed<7>(values, width, ring, column);
    if (window == 5) return add_row_fixed<5>(values, width, ring, column);
    if (window == 9) return add_row_fixed<9>(values, width, ring, column);
    if (window == 11) return add_row_fixed<11>(values, width, ring, column);
    add_row(values, width, window, ring, column);
}

// Correlations of one row from its window sums, sorted into the best ones so far.
void rank_row(const ScoreTask& task, const Workspace& space, int y, const float* __restrict seen, int strip_row) {
    const int width = task.reference.width, window = 2 * task.reference.radius + 1;
    const float inverse_count = 1.0f / float(window * window), unseen = task.unseen;
    const float* __restrict mean = task.reference.mean + std::size_t(y) * width;
    const float* __restrict variance = task.reference.variance + std::size_t(y) * width;
    const float* __restrict sums = space.column[0];
    const float* __restrict squares = space.column[1];
    const float* __restrict products = space.column[2];
    float* __restrict first = space.best[0] + std::size_t(strip_row) * width;
    float* __restrict second = space.best[task.num_best > 1 ? 1 : 0] + std::size_t(strip_row) * width;
    auto correlation = [&](int x) {
        const float m = sums[x] * inverse_count;
        const float v = std::max(squares[x] * inverse_count - m * m, 0.0f);
        const float covariance = products[x] * inverse_count - m * mean[x];
        const float value = covariance / std::sqrt((variance[x] + kNoise) * (v + kNoise));
        return seen[x] > 0.0f ? value : unseen;
    };
    if (task.num_best == 2) {
#pragma omp simd
        for (int x = 0; x < width; ++x) {
            const float value = correlation(x), a = first[x], b = second[x];
            first[x] = std::max(a, value);
            second[x] = std::max(b, std::min(a, value));
        }
        return;
    }
    for (int x = 0; x < width; ++x) {
        float value = correlation(x);
        for (int rank = 0; rank < task.num_best; ++rank) {
            float& kept = space.best[rank][std::size_t(strip_row) * width + x];
            const float larger = std::max(kept, value);
            value = std::min(kept, value);
            kept = larger;
        }
    }
}

void rank_source(const ScoreTask& task, const Source& source, int begin, int end, Workspace& space) {
    const int width = task.reference.width, height = task.reference.height, radius = task.reference.radius;
    const int window = 2 * radius + 1, padded_width = space.padded_width;
    for (int quantity = 0; quantity < 3; ++quantity) {
        std::fill_n(space.column[quantity], width, 0.0f);
        std::fill_n(space.ring[quantity], std::size_t(space.ring_rows) * width, 0.0f);
    }
    for (int y = begin - radius, slot = 0; y < end + radius; ++y, slot = (slot + 1) % window) {
        const int row = mirrored(y, height);
        const float* reference = task.reference.padded + std::size_t(row) * padded_width;
        warp_row(source, task.candidate + std::size_t(row) * width, row, width, space.warped + radius,
                 space.seen + std::size_t(slot) * width);
        mirror_columns(space.warped, width, radius);
        float* __restrict square = space.products;
        float* __restrict product = space.products + padded_width;
        const float* __restrict warped = space.warped;
#pragma omp simd
        for (int x = 0; x < padded_width; ++x) {
            square[x] = warped[x] * warped[x];
            product[x] = warped[x] * reference[x];
        }
        const float* values[3] = {space.warped, square, product};
        for (int quantity = 0; quantity < 3; ++quantity)
            slide(values[quantity], width, window, space.ring[quantity] + std::size_t(slot) * width,
                  space.column[quantity]);
        if (y < begin + radius) continue;
        const int centre_slot = (slot + window - radius) % window;
        rank_row(task, space, y - radius, space.seen + std::size_t(centre_slot) * width, y - radius - begin);
    }
}

// Keep the candidate where its mean correlation beats the old score.
void improve(const ScoreTask& task, int begin, int end, const Workspace& space) {
    const std::size_t offset = std::size_t(begin) * task.reference.width;
    const int count = (end - begin) * task.reference.width;
    const float inverse_best = 1.0f / float(task.num_best), margin = task.margin;
    float* __restrict total = space.best[0];
    for (int rank = 1; rank < task.num_best; ++rank) {
        const float* __restrict other = space.best[rank];
#pragma omp simd
        for (int i = 0; i < count; ++i) total[i] += other[i];
    }
    float* __restrict score = task.score + offset;
    if (task.inverse_depth == nullptr) {
#pragma omp simd
        for (int i = 0; i < count; ++i) score[i] = total[i] * inverse_best;
        return;
    }
    float* __restrict inverse_depth = task.inverse_depth + offset;
    const float* __restrict candidate = task.candidate + offset;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
        const float value = total[i] * inverse_best;
        const bool wins = value > score[i] + margin;
        inverse_depth[i] = wins ? candidate[i] : inverse_depth[i];
        score[i] = wins ? value : score[i];
    }
}

}  // namespace

void score_candidate(const ScoreTask& task) {
    const int width = task.reference.width, height = task.reference.height;
    const int num_strips = (height + kStripRows - 1) / kStripRows;
#pragma omp parallel num_threads(task.num_threads)
    {
        Workspace space(width, task.reference.radius, task.num_best);
#pragma omp for schedule(dynamic)
        for (int strip = 0; strip < num_strips; ++strip) {
            const int begin = strip * kStripRows, end = std::min(begin + kStripRows, height);
            for (int rank = 0; rank < task.num_best; ++rank)
                std::fill_n(space.best[rank], std::size_t(end - begin) * width, task.unseen);
            for (int s = 0; s < task.num_sources; ++s) rank_source(task, task.sources[s], begin, end, space);
            improve(task, begin, end, space);
        }
    }
}

namespace {

struct Vec3 {
    double x, y, z;
};

Vec3 rotate(const double* m, int stride, Vec3 p) {
    return {m[0] * p.x + m[1] * p.y + m[2] * p.z, m[stride] * p.x + m[stride + 1] * p.y + m[stride + 2] * p.z,
            m[2 * stride] * p.x + m[2 * stride + 1] * p.y + m[2 * stride + 2] * p.z};
}

// Pixels of one view at a depth, as pixels and depth of another: homogeneous = depth * turn (u, v, 1) + shift.
struct Transfer {
    double turn[9];
    Vec3 shift;

    Vec3 operator()(double u, double v, double depth) const {
        const Vec3 ray = rotate(turn, 3, {u, v, 1.0});
        const Vec3 h{ray.x * depth + shift.x, ray.y * depth + shift.y, ray.z * depth + shift.z};
        if (h.z <= 0.0) return {0.0, 0.0, -1.0};
        const double scale = 1.0 / h.z;
        return {h.x * scale, h.y * scale, h.z};
    }
};

// The last row of K is (0, 0, 1), so the third homogeneous coordinate is the depth.
Transfer transfer(const DepthView& from, const DepthView& onto) {
    const double* F = from.cam_from_world;
    const double* O = onto.cam_from_world;
    double onto_from[9], with_K[9];  // R_onto R_from^T, then K_onto in front of it
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            onto_from[3 * i + j] = O[4 * i] * F[4 * j] + O[4 * i + 1] * F[4 * j + 1] + O[4 * i + 2] * F[4 * j + 2];
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            with_K[3 * i + j] = onto.K[3 * i] * onto_from[j] + onto.K[3 * i + 1] * onto_from[3 + j] +
                                onto.K[3 * i + 2] * onto_from[6 + j];
    Transfer result;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            result.turn[3 * i + j] = with_K[3 * i] * from.inverse_K[j] + with_K[3 * i + 1] * from.inverse_K[3 + j] +
                                     with_K[3 * i + 2] * from.inverse_K[6 + j];
    const Vec3 moved = rotate(onto_from, 3, {F[3], F[7], F[11]});
    result.shift = rotate(onto.K, 3, {O[3] - moved.x, O[7] - moved.y, O[11] - moved.z});
    return result;
}

// Depth at a pixel position: bilinear in inverse depth on one surface, the nearest pixel's across a jump or a hole.
double depth_at(const DepthView& view, double u, double v, double max_jump) {
    if (!(u >= 0.0 && v >= 0.0 && u < view.width && v < view.height)) return 0.0;
    const double nearest = view.depth[std::size_t(v) * view.width + std::size_t(u)];
    if (nearest <= 0.0) return 0.0;
    const double x = std::clamp(u - 0.5, 0.0, double(view.width - 1));
    const double y = std::clamp(v - 0.5, 0.0, double(view.height - 1));
    const int x0 = int(x), y0 = int(y), x1 = std::min(x0 + 1, view.width - 1), y1 = std::min(y0 + 1, view.height - 1);
    const double weight_x = x - x0, weight_y = y - y0;
    const int columns[2] = {x0, x1}, rows[2] = {y0, y1};
    double inverse = 0.0;
    for (int j = 0; j < 2; ++j)
        for (int i = 0; i < 2; ++i) {
            const double depth = view.depth[std::size_t(rows[j]) * view.width + columns[i]];
            if (depth <= 0.0 || std::abs(depth - nearest) > max_jump * nearest) return nearest;
            inverse += (j ? weight_y : 1.0 - weight_y) * (i ? weight_x : 1.0 - weight_x) / depth;
        }
    return 1.0 / inverse;
}

Vec3 centre_of(const DepthView& view) {
    const double* T = view.cam_from_world;
    return {-(T[0] * T[3] + T[4] * T[7] + T[8] * T[11]), -(T[1] * T[3] + T[5] * T[7] + T[9] * T[11]),
            -(T[2] * T[3] + T[6] * T[7] + T[10] * T[11])};
}

}  // namespace

void check_view(const ConsistencyTask& task, int index) {
    const DepthView& view = task.views[index];
    const Vec3 centre = centre_of(view);
    std::vector<double> relative_per_disparity(task.num_views);  // relative depth error of one px, per unit of depth
    std::vector<Transfer> there, back_again;
    for (int other = 0; other < task.num_views; ++other) {
        there.push_back(transfer(view, task.views[other]));
        back_again.push_back(transfer(task.views[other], view));
        const Vec3 c = centre_of(task.views[other]);
        const double baseline = std::sqrt((c.x - centre.x) * (c.x - centre.x) + (c.y - centre.y) * (c.y - centre.y) +
                                          (c.z - centre.z) * (c.z - centre.z));
        relative_per_disparity[other] = baseline > 0.0 ? task.max_disparity_px / (view.K[0] * baseline) : 0.0;
    }
    float* fused = task.fused;
    std::uint8_t* counts = task.num_agreeing;
#pragma omp parallel for schedule(dynamic, 8) num_threads(task.num_threads)
    for (int y = 0; y < view.height; ++y) {
        for (int x = 0; x < view.width; ++x) {
            const std::size_t at = std::size_t(y) * view.width + x;
            const double depth = view.depth[at], u = x + 0.5, v = y + 0.5;
            fused[at] = 0.0f;
            counts[at] = 0;
            if (depth <= 0.0) continue;
            double inverse_sum = 1.0 / depth;
            int count = 0;
            for (int other = 0; other < task.num_views; ++other) {
                if (other == index) continue;
                const Vec3 seen = there[other](u, v, depth);
                if (seen.z <= 0.0) continue;
                const double limit = std::max(task.max_relative_depth, relative_per_disparity[other] * seen.z);
                const double found = depth_at(task.views[other], seen.x, seen.y, limit);
                if (found <= 0.0 || std::abs(found - seen.z) > limit * seen.z) continue;
                const Vec3 back = back_again[other](seen.x, seen.y, found);
                if (back.z <= 0.0 || std::hypot(back.x - u, back.y - v) > task.max_error_px) continue;
                inverse_sum += 1.0 / back.z;
                ++count;
            }
            fused[at] = float((1 + count) / inverse_sum);
            counts[at] = std::uint8_t(std::min(count, 255));
        }
    }
}

// Where the pixels of one view land in another: the largest inverse depth of each pixel, 0 where none lands.
void project_depth(const DepthView& from, const DepthView& onto, float* inverse_depth) {
    const Transfer there = transfer(from, onto);
    std::fill_n(inverse_depth, std::size_t(onto.width) * onto.height, 0.0f);
    for (int y = 0; y < from.height; ++y)
        for (int x = 0; x < from.width; ++x) {
            const double depth = from.depth[std::size_t(y) * from.width + x];
            if (depth <= 0.0) continue;
            const Vec3 seen = there(x + 0.5, y + 0.5, depth);
            if (!(seen.z > 0.0 && seen.x >= 0.0 && seen.y >= 0.0)) continue;
            if (!(seen.x < onto.width && seen.y < onto.height)) continue;
            float& nearest = inverse_depth[std::size_t(seen.y) * onto.width + std::size_t(seen.x)];
            nearest = std::max(nearest, float(1.0 / seen.z));
        }
}

}  // namespace handful::HANDFUL_ISA
