// Truncated signed distance fusion on sparse blocks of 8x8x8 voxels, and surface nets over them.
//
// Sources: Curless & Levoy, A Volumetric Method for Building Complex Models from Range Images, 1996 (the weighted mean
// of signed distances); Niessner et al., Real-time 3D Reconstruction at Scale using Voxel Hashing, 2013 (blocks only
// near surfaces); Gibson, Constrained Elastic Surface Nets, 1998 (one vertex per cell at the mean of the edge
// crossings). Every block, and every pixel, is written by one thread and adds its views in the order of the calls, so
// results do not depend on the number of threads.
#include "kernels.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace HANDFUL_ISA {
namespace {

using handful::DepthView;
using handful::kBlock;
using handful::kKeyBias;
using handful::kVoxels;
using handful::Surface;

std::int64_t block_key(std::int64_t x, std::int64_t y, std::int64_t z) {
    return ((x + kKeyBias) << 42) | ((y + kKeyBias) << 21) | (z + kKeyBias);
}

// World point of pixel coordinates at a depth.
std::array<double, 3> unproject(const DepthView& view, double u, double v, double z) {
    const double p[3] = {(u - view.cx) / view.fx * z - view.translation[0],
                         (v - view.cy) / view.fy * z - view.translation[1], z - view.translation[2]};
    const double* R = view.rotation;
    return {R[0] * p[0] + R[3] * p[1] + R[6] * p[2], R[1] * p[0] + R[4] * p[1] + R[7] * p[2],
            R[2] * p[0] + R[5] * p[1] + R[8] * p[2]};
}

// The four pixels around a position and their bilinear weights; positions near the border repeat the border pixels.
struct Bilinear {
    int corner[4];
    float weight[4];

    Bilinear(float u, float v, int width, int height) {
        const float x = std::clamp(u - 0.5f, 0.0f, float(width - 1)), y = std::clamp(v - 0.5f, 0.0f, float(height - 1));
        const int x0 = int(x), y0 = int(y);
        const int x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
        const float a = x - float(x0), b = y - float(y0);
        corner[0] = y0 * width + x0, corner[1] = y0 * width + x1;
        corner[2] = y1 * width + x0, corner[3] = y1 * width + x1;
        weight[0] = (1 - a) * (1 - b), weight[1] = a * (1 - b), weight[2] = (1 - a) * b, weight[3] = a * b;
    }
};

// Depth between pixels. Inverse depth is linear across a plane, so it is what is interpolated; across a depth step
// larger than `largest_step`, and beside pixels without depth, the nearest pixel speaks alone.
float sample_depth(const float* depth, float nearest, const Bilinear& at, float largest_step) {
    float low = nearest, high = nearest, inverse = 0;
    for (int i = 0; i < 4; ++i) {
        const float z = depth[at.corner[i]];
        if (!(z > 0)) return nearest;
        low = std::min(low, z), high = std::max(high, z);
        inverse += at.weight[i] / z;
    }
    return high - low > largest_step ? nearest : 1 / inverse;
}

std::vector<std::int64_t> touched_blocks(const DepthView& view, double voxel, double truncation, int threads) {
    const double side = voxel * kBlock;
    std::vector<std::vector<std::int64_t>> rows(view.height);
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
    for (int y = 0; y < view.height; ++y) {
        auto& keys = rows[y];
        for (int x = 0; x < view.width; ++x) {
            const double z = view.depth[std::int64_t(y) * view.width + x];
            if (!(z > 0)) continue;
            const double u = x + 0.5, v = y + 0.5;
            const double stretch = std::hypot((u - view.cx) / view.fx, (v - view.cy) / view.fy, 1.0);
            const double reach = truncation / stretch;  // along z
            const int steps = 1 + int(std::ceil(2 * truncation / (0.5 * side)));
            for (int i = 0; i <= steps; ++i) {
                const auto p = unproject(view, u, v, z - reach + 2 * reach * i / steps);
                const std::int64_t key = block_key(std::int64_t(std::floor(p[0] / side)), std::int64_t(std::floor(p[1] / side)),
                                                   std::int64_t(std::floor(p[2] / side)));
                if (keys.empty() || keys.back() != key) keys.push_back(key);
            }
        }
        std::sort(keys.begin(), keys.end());
        keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    }
    std::vector<std::int64_t> all;
    for (const auto& keys : rows) all.insert(all.end(), keys.begin(), keys.end());
    return all;
}

void integrate(const DepthView& view, const std::uint8_t* rgb, const float* weight, const std::int32_t* blocks,
               std::int64_t num_blocks, double voxel, double truncation, double free_weight, float* distance_sum,
               float* weight_sum, float* color_sum, int threads) {
    const double* R = view.rotation;
    const float fx = float(view.fx), fy = float(view.fy), cx = float(view.cx), cy = float(view.cy);
    const float trunc = float(truncation), per_trunc = 1 / trunc;
    float step[3][3];  // step[axis]: one voxel along a world axis, in the camera frame
    for (int axis = 0; axis < 3; ++axis)
        for (int row = 0; row < 3; ++row) step[axis][row] = float(R[3 * row + axis] * voxel);

#pragma omp parallel for schedule(dynamic, 16) num_threads(threads)
    for (std::int64_t b = 0; b < num_blocks; ++b) {
        float base[3];
        for (int row = 0; row < 3; ++row) {
            double sum = view.translation[row];
            for (int axis = 0; axis < 3; ++axis) sum += R[3 * row + axis] * voxel * kBlock * blocks[3 * b + axis];
            base[row] = float(sum);
        }
        for (int n = 0; n < kVoxels; ++n) {
            const float i = float(n >> 6), j = float((n >> 3) & 7), k = float(n & 7);
            const float x = base[0] + i * step[0][0] + j * step[1][0] + k * step[2][0];
            const float y = base[1] + i * step[0][1] + j * step[1][1] + k * step[2][1];
            const float z = base[2] + i * step[0][2] + j * step[1][2] + k * step[2][2];
            if (!(z > 1e-6f)) continue;
            const float u = fx * x / z + cx, v = fy * y / z + cy;
            if (!(u >= 0 && v >= 0 && u < float(view.width) && v < float(view.height))) continue;
            const std::int64_t pixel = std::int64_t(v) * view.width + std::int64_t(u);
            const float nearest = view.depth[pixel];
            float w = weight[pixel];
            if (!(nearest > 0) || !(w > 0)) continue;
            const Bilinear at(u, v, view.width, view.height);
            const float depth = sample_depth(view.depth, nearest, at, trunc);
            const float distance = (depth - z) * std::sqrt(x * x + y * y + z * z) / z;  // along the ray, > 0 in front
            if (distance < -trunc) continue;
            // What lies behind a surface is a guess: believe it less the deeper it is, so that the two sides of a
            // thin object disturb each other little (Bylow et al., Real-Time Camera Tracking and 3D Reconstruction
            // Using Signed Distance Functions, 2013).
            if (distance < -0.25f * trunc) w *= (trunc + distance) / (0.75f * trunc);
            // A view that looks through a place tells less of it than one that sees a surface there: where one of the two
            // is wrong, the surface stays unless several look through it.
            if (distance > trunc) w *= float(free_weight);
            const std::int64_t at_voxel = b * kVoxels + n;
            distance_sum[at_voxel] += w * std::min(1.0f, distance * per_trunc);
            weight_sum[at_voxel] += w;
            if (distance > trunc) continue;
            float color[3] = {0, 0, 0};
            for (int c = 0; c < 4; ++c)
                for (int channel = 0; channel < 3; ++channel)
                    color[channel] += at.weight[c] * float(rgb[3 * std::int64_t(at.corner[c]) + channel]);
            for (int channel = 0; channel < 3; ++channel) color_sum[4 * at_voxel + channel] += w * color[channel];
            color_sum[4 * at_voxel + 3] += w;
        }
    }
}

// The blocks' arrays as one grid: where voxel (i, j, k), 0 <= i, j, k <= 8, seen from block b is stored; -1: nowhere.
std::int64_t voxel_at(const std::int32_t* neighbors, std::int64_t b, int i, int j, int k) {
    const int direction = (i >> 3) << 2 | (j >> 3) << 1 | (k >> 3);
    const std::int64_t block = neighbors[8 * b + direction];
    return block < 0 ? -1 : block * kVoxels + ((i & 7) << 6 | (j & 7) << 3 | (k & 7));
}

// Offsets of the corners of a cell; corner c lies at (c >> 2, c >> 1 & 1, c & 1).
constexpr int kEdges[12][2] = {{0, 1}, {2, 3}, {4, 5}, {6, 7}, {0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6}, {3, 7}};

struct NetVertex {
    float position[3];
    std::uint8_t rgb[3];
};

// Mean of the surface's crossings with the edges of a cell, in cell coordinates.
std::array<float, 3> mean_crossing(const float (&value)[8]) {
    std::array<float, 3> sum{};
    int count = 0;
    for (const auto& [a, b] : kEdges) {
        if ((value[a] < 0) == (value[b] < 0)) continue;
        const float share = value[a] / (value[a] - value[b]);
        const int from[3] = {a >> 2, a >> 1 & 1, a & 1}, to[3] = {b >> 2, b >> 1 & 1, b & 1};
        for (int axis = 0; axis < 3; ++axis) sum[axis] += float(from[axis]) + share * float(to[axis] - from[axis]);
        ++count;
    }
    for (float& s : sum) s /= float(count);
    return sum;
}

// Colour at a place in a cell: trilinear between the corners that have any.
void cell_color(const float* color_sum, const std::int64_t (&corner)[8], const std::array<float, 3>& at, std::uint8_t* rgb) {
    float sum[3] = {0, 0, 0}, total = 0;
    for (int c = 0; c < 8; ++c) {
        const float* color = color_sum + 4 * corner[c];
        if (!(color[3] > 0)) continue;
        const float share = (c >> 2 ? at[0] : 1 - at[0]) * (c >> 1 & 1 ? at[1] : 1 - at[1]) * (c & 1 ? at[2] : 1 - at[2]) + 1e-6f;
        for (int channel = 0; channel < 3; ++channel) sum[channel] += share * color[channel] / color[3];
        total += share;
    }
    for (int channel = 0; channel < 3; ++channel)
        rgb[channel] = total > 0 ? std::uint8_t(std::clamp(sum[channel] / total + 0.5f, 0.0f, 255.0f)) : 128;
}

Surface surface_nets(const std::int32_t* blocks, const std::int32_t* neighbors, std::int64_t num_blocks,
                     const float* distance, const float* weight, const float* color_sum, double voxel, float min_weight,
                     int threads) {
    // First pass: one vertex in every cell whose eight corners are all observed and do not all lie on one side.
    std::vector<std::vector<NetVertex>> block_vertices(num_blocks);
    std::vector<std::int32_t> cell_vertex(num_blocks * kVoxels, -1);
#pragma omp parallel for schedule(dynamic, 64) num_threads(threads)
    for (std::int64_t b = 0; b < num_blocks; ++b) {
        for (int n = 0; n < kVoxels; ++n) {
            const int cell[3] = {n >> 6, n >> 3 & 7, n & 7};
            std::int64_t corner[8];
            float value[8];
            int negative = 0, seen = 0;
            for (; seen < 8; ++seen) {
                const int c = seen;
                corner[c] = voxel_at(neighbors, b, cell[0] + (c >> 2), cell[1] + (c >> 1 & 1), cell[2] + (c & 1));
                if (corner[c] < 0 || !(weight[corner[c]] > min_weight)) break;
                value[c] = distance[corner[c]];
                negative += value[c] < 0;
            }
            if (seen < 8 || negative == 0 || negative == 8) continue;
            const auto at = mean_crossing(value);
            NetVertex vertex;
            for (int axis = 0; axis < 3; ++axis)
                vertex.position[axis] = float(voxel * (double(blocks[3 * b + axis]) * kBlock + cell[axis] + at[axis]));
            cell_color(color_sum, corner, at, vertex.rgb);
            cell_vertex[b * kVoxels + n] = std::int32_t(block_vertices[b].size());
            block_vertices[b].push_back(vertex);
        }
    }

    Surface out;
    std::vector<std::int32_t> first(num_blocks);  // number of the first vertex of each block
    for (std::int64_t b = 0; b < num_blocks; ++b) {
        first[b] = std::int32_t(out.vertices.size() / 3);
        for (const auto& vertex : block_vertices[b]) {
            out.vertices.insert(out.vertices.end(), vertex.position, vertex.position + 3);
            out.vertex_rgb.insert(out.vertex_rgb.end(), vertex.rgb, vertex.rgb + 3);
        }
        block_vertices[b] = {};
    }

    // Second pass: two triangles around every grid edge that crosses the surface, if its four cells have vertices.
    // The edge starts at the far corner of the cell in both other directions, so the cells lie at +0 and +1.
    std::vector<std::vector<std::int32_t>> block_faces(num_blocks);
#pragma omp parallel for schedule(dynamic, 64) num_threads(threads)
    for (std::int64_t b = 0; b < num_blocks; ++b) {
        const auto vertex_of = [&](int i, int j, int k) {
            const std::int64_t at = voxel_at(neighbors, b, i, j, k);
            return at < 0 || cell_vertex[at] < 0 ? -1 : first[at / kVoxels] + cell_vertex[at];
        };
        for (int n = 0; n < kVoxels; ++n) {
            if (cell_vertex[b * kVoxels + n] < 0) continue;
            const int cell[3] = {n >> 6, n >> 3 & 7, n & 7};
            for (int axis = 0; axis < 3; ++axis) {
                int d1[3] = {0, 0, 0}, d2[3] = {0, 0, 0}, low[3], high[3];
                d1[(axis + 1) % 3] = 1, d2[(axis + 2) % 3] = 1;
                for (int k = 0; k < 3; ++k) low[k] = high[k] = cell[k] + d1[k] + d2[k];
                ++high[axis];
                // Both ends are corners of this cell, which is observed.
                const bool is_inside_low = distance[voxel_at(neighbors, b, low[0], low[1], low[2])] < 0;
                const bool is_inside_high = distance[voxel_at(neighbors, b, high[0], high[1], high[2])] < 0;
                if (is_inside_low == is_inside_high) continue;
                std::int32_t quad[4] = {vertex_of(cell[0], cell[1], cell[2]),
                                        vertex_of(cell[0] + d1[0], cell[1] + d1[1], cell[2] + d1[2]),
                                        vertex_of(cell[0] + d1[0] + d2[0], cell[1] + d1[1] + d2[1], cell[2] + d1[2] + d2[2]),
                                        vertex_of(cell[0] + d2[0], cell[1] + d2[1], cell[2] + d2[2])};
                if (std::min({quad[0], quad[1], quad[2], quad[3]}) < 0) continue;
                if (is_inside_high) std::swap(quad[1], quad[3]);  // outside is where the distance is positive
                const auto gap = [&](int p, int q) {
                    float sum = 0;
                    for (int k = 0; k < 3; ++k) {
                        const float d = out.vertices[3 * std::size_t(quad[p]) + k] - out.vertices[3 * std::size_t(quad[q]) + k];
                        sum += d * d;
                    }
                    return sum;
                };
                const int s = gap(0, 2) <= gap(1, 3) ? 0 : 1;  // split along the shorter diagonal
                block_faces[b].insert(block_faces[b].end(), {quad[s], quad[s + 1], quad[s + 2], quad[s], quad[s + 2], quad[(s + 3) % 4]});
            }
        }
    }
    for (const auto& faces : block_faces) out.faces.insert(out.faces.end(), faces.begin(), faces.end());
    return out;
}

void compare_depths(const DepthView& a, const DepthView& b, double tolerance, std::uint8_t* agreeing,
                    std::uint8_t* conflicting, int threads) {
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
    for (int y = 0; y < a.height; ++y) {
        for (int x = 0; x < a.width; ++x) {
            const std::int64_t pixel = std::int64_t(y) * a.width + x;
            if (!(a.depth[pixel] > 0)) continue;
            const auto p = unproject(a, x + 0.5, y + 0.5, a.depth[pixel]);
            double q[3];
            for (int row = 0; row < 3; ++row)
                q[row] = b.rotation[3 * row] * p[0] + b.rotation[3 * row + 1] * p[1] + b.rotation[3 * row + 2] * p[2] + b.translation[row];
            if (!(q[2] > 0)) continue;
            const double u = b.fx * q[0] / q[2] + b.cx, v = b.fy * q[1] / q[2] + b.cy;
            if (!(u >= 0 && v >= 0 && u < b.width && v < b.height)) continue;
            // The four pixels around span what b may show there: slanted surfaces and silhouettes change within a pixel.
            float low = 0, high = 0;
            for (const int corner : Bilinear(float(u), float(v), b.width, b.height).corner) {
                const float z = b.depth[corner];
                if (!(z > 0)) continue;
                low = low > 0 ? std::min(low, z) : z, high = std::max(high, z);
            }
            if (!(low > 0)) continue;
            if (q[2] < low * (1 - tolerance))
                conflicting[pixel] += conflicting[pixel] < 255;
            else if (q[2] <= high * (1 + tolerance))
                agreeing[pixel] += agreeing[pixel] < 255;
        }
    }
}

void faces_seen(const DepthView& view, const float* weight, const float* vertices, const std::int32_t* faces,
                std::int64_t num_faces, double tolerance, std::uint8_t* seen, int threads) {
    const double* R = view.rotation;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t f = 0; f < num_faces; ++f) {
        if (seen[f]) continue;
        double corner[3][3], center[3] = {0, 0, 0};  // camera frame
        for (int c = 0; c < 3; ++c) {
            const float* p = vertices + 3 * std::int64_t(faces[3 * f + c]);
            for (int row = 0; row < 3; ++row) {
                corner[c][row] = R[3 * row] * p[0] + R[3 * row + 1] * p[1] + R[3 * row + 2] * p[2] + view.translation[row];
                center[row] += corner[c][row] / 3;
            }
        }
        if (!(center[2] > 0)) continue;
        double toward = 0;  // normal . (camera - center), the sign of which tells front from back
        for (int k = 0; k < 3; ++k) {
            const int m = (k + 1) % 3, n = (k + 2) % 3;
            const double normal = (corner[1][m] - corner[0][m]) * (corner[2][n] - corner[0][n]) -
                                  (corner[1][n] - corner[0][n]) * (corner[2][m] - corner[0][m]);
            toward -= normal * center[k];
        }
        const double u = view.fx * center[0] / center[2] + view.cx, v = view.fy * center[1] / center[2] + view.cy;
        if (!(toward > 0 && u >= 0 && v >= 0 && u < view.width && v < view.height)) continue;
        const std::int64_t pixel = std::int64_t(v) * view.width + std::int64_t(u);
        seen[f] = view.depth[pixel] > 0 && weight[pixel] > 0 && std::abs(view.depth[pixel] - center[2]) < tolerance;
    }
}

}  // namespace

extern const handful::Kernels kernels;
const handful::Kernels kernels = {touched_blocks, integrate, surface_nets, compare_depths, faces_seen};

}  // namespace HANDFUL_ISA
