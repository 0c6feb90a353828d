#include "texture.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace handful {
namespace {

constexpr double kNear = 1e-6;  // depth below which nothing is drawn

struct Projected {
    float u, v, z;
};

std::array<double, 3> to_camera(const TextureCamera& camera, const double* p) {
    std::array<double, 3> q;
    for (int row = 0; row < 3; ++row) {
        const double* R = camera.rotation + 3 * row;
        q[row] = R[0] * p[0] + R[1] * p[1] + R[2] * p[2] + camera.translation[row];
    }
    return q;
}

std::vector<Projected> project(const TriangleMesh& mesh, const TextureCamera& camera, int threads) {
    std::vector<Projected> projected(mesh.num_vertices);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t i = 0; i < mesh.num_vertices; ++i) {
        const float* v = mesh.vertices + 3 * i;
        const double p[3] = {v[0], v[1], v[2]};
        const auto q = to_camera(camera, p);
        projected[i] = {float(camera.fx * q[0] / q[2] + camera.cx), float(camera.fy * q[1] / q[2] + camera.cy), float(q[2])};
        if (!(q[2] > kNear)) projected[i].z = 0;
    }
    return projected;
}

// Draws the part of a face that lies in the rows [begin, end).
void draw_face(const Projected& a, const Projected& b, const Projected& c, std::int32_t index, int width, int begin,
               int end, float* depth, std::int32_t* face) {
    if (!(a.z > 0 && b.z > 0 && c.z > 0)) return;
    const double top = std::min({a.v, b.v, c.v}), bottom = std::max({a.v, b.v, c.v});
    const double left = std::min({a.u, b.u, c.u}), right = std::max({a.u, b.u, c.u});
    if (!(bottom >= begin && top < end && right >= 0 && left < width)) return;
    const double area = (double(b.u) - a.u) * (double(c.v) - a.v) - (double(b.v) - a.v) * (double(c.u) - a.u);
    if (std::abs(area) < 1e-12) return;
    const int row0 = std::max(begin, int(std::ceil(top - 0.5))), row1 = std::min(end - 1, int(std::floor(bottom - 0.5)));
    const int column0 = std::max(0, int(std::ceil(std::max(left - 0.5, -1.0))));
    const int column1 = std::min(width - 1, int(std::floor(std::min(right - 0.5, double(width)))));
    const double step_b = (double(c.v) - a.v) / area, step_c = (double(a.v) - b.v) / area;  // a pixel to the right
    for (int row = row0; row <= row1; ++row) {
        const double y = row + 0.5 - a.v, x = column0 + 0.5 - a.u;
        double weight_b = (x * (double(c.v) - a.v) - y * (double(c.u) - a.u)) / area;
        double weight_c = (y * (double(b.u) - a.u) - x * (double(b.v) - a.v)) / area;
        for (int column = column0; column <= column1; ++column, weight_b += step_b, weight_c += step_c) {
            const double weight_a = 1 - weight_b - weight_c;
            if (weight_a < -1e-6 || weight_b < -1e-6 || weight_c < -1e-6) continue;
            // 1/z is linear in the picture.
            const float z = float(1 / (weight_a / a.z + weight_b / b.z + weight_c / c.z));
            const std::int64_t pixel = std::int64_t(row) * width + column;
            if (face[pixel] < 0 || z < depth[pixel]) depth[pixel] = z, face[pixel] = index;
        }
    }
}

struct Texel2 {
    double x, y;
};

// The point of a triangle that lies nearest to p, as the weights of the first two corners; and its squared distance.
std::array<double, 3> nearest_in_triangle(const std::array<Texel2, 3>& t, Texel2 p) {
    std::array<double, 3> best = {0, 0, 1e30};
    for (int k = 0; k < 3; ++k) {
        const Texel2 from = t[k], to = t[(k + 1) % 3];
        const double dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy;
        const double s = length > 0 ? std::clamp(((p.x - from.x) * dx + (p.y - from.y) * dy) / length, 0.0, 1.0) : 0.0;
        const double ex = from.x + s * dx - p.x, ey = from.y + s * dy - p.y, distance = ex * ex + ey * ey;
        if (distance >= best[2]) continue;
        double weights[3] = {0, 0, 0};
        weights[k] = 1 - s, weights[(k + 1) % 3] = s;
        best = {weights[0], weights[1], distance};
    }
    return best;
}

struct Bilinear {
    int x0, y0, x1, y1;
    float a, b;

    Bilinear(float u, float v, int width, int height) {
        const float x = std::clamp(u - 0.5f, 0.0f, float(width - 1)), y = std::clamp(v - 0.5f, 0.0f, float(height - 1));
        x0 = int(x), y0 = int(y);
        x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
        a = x - float(x0), b = y - float(y0);
    }
};

void sample_level(const PhotoLevel& level, float u, float v, float color[3]) {
    const Bilinear at(u, v, level.width, level.height);
    const auto pixel = [&](int x, int y) { return level.rgb + 3 * (std::int64_t(y) * level.width + x); };
    const std::uint8_t *p00 = pixel(at.x0, at.y0), *p10 = pixel(at.x1, at.y0), *p01 = pixel(at.x0, at.y1), *p11 = pixel(at.x1, at.y1);
    for (int k = 0; k < 3; ++k)
        color[k] = (1 - at.b) * ((1 - at.a) * float(p00[k]) + at.a * float(p10[k])) + at.b * ((1 - at.a) * float(p01[k]) + at.a * float(p11[k]));
}

// Between the two levels whose pixels are nearest in size to `pixels_per_sample`.
void sample_pyramid(const std::vector<PhotoLevel>& levels, float u, float v, float pixels_per_sample, float color[3]) {
    const float level = std::clamp(std::log2(std::max(pixels_per_sample, 1.0f)), 0.0f, float(levels.size() - 1));
    const int fine = int(level), coarse = std::min(fine + 1, int(levels.size()) - 1);
    const float share = level - float(fine);
    const auto scaled = [&](int k, float out[3]) {
        sample_level(levels[k], u * float(levels[k].width) / float(levels[0].width),
                     v * float(levels[k].height) / float(levels[0].height), out);
    };
    scaled(fine, color);
    if (share <= 0 || coarse == fine) return;
    float other[3];
    scaled(coarse, other);
    for (int k = 0; k < 3; ++k) color[k] += share * (other[k] - color[k]);
}

// Quality of a pixel position, 0 where the point at depth z is hidden. The farthest of the four pixels around decides,
// so that slanted surfaces do not hide themselves; beside true steps the quality is low.
float visible_quality(const PhotoSource& source, float u, float v, double z) {
    const Bilinear at(u, v, source.camera.width, source.camera.height);
    const std::int64_t width = source.camera.width;
    const std::int64_t corners[4] = {at.y0 * width + at.x0, at.y0 * width + at.x1, at.y1 * width + at.x0, at.y1 * width + at.x1};
    float farthest = 0;
    for (const auto corner : corners) farthest = std::max(farthest, source.depth[corner]);
    if (!(farthest > 0) || z > farthest * (1 + source.tolerance)) return 0;
    const float* q = source.quality;
    for (const auto corner : corners)
        if (!(q[corner] > 0)) return 0;
    return (1 - at.b) * ((1 - at.a) * q[corners[0]] + at.a * q[corners[1]]) + at.b * ((1 - at.a) * q[corners[2]] + at.a * q[corners[3]]);
}

}  // namespace

void raster_mesh(const TriangleMesh& mesh, const TextureCamera& camera, float* depth, std::int32_t* face, int threads) {
    const std::int64_t size = std::int64_t(camera.height) * camera.width;
    std::fill(depth, depth + size, 0.0f);
    std::fill(face, face + size, -1);
    const std::vector<Projected> projected = project(mesh, camera, threads);
    // Every band of rows is drawn by one thread in the order of the faces: the result does not depend on their number.
    const int bands = std::max(1, threads);
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int band = 0; band < bands; ++band) {
        const int begin = int(std::int64_t(camera.height) * band / bands), end = int(std::int64_t(camera.height) * (band + 1) / bands);
        for (std::int64_t f = 0; f < mesh.num_faces; ++f) {
            const std::int32_t* corner = mesh.faces + 3 * f;
            draw_face(projected[corner[0]], projected[corner[1]], projected[corner[2]], std::int32_t(f), camera.width, begin, end, depth, face);
        }
    }
}

Texels raster_uv(const float* uv, const std::int32_t* uv_faces, std::int64_t num_faces, int side) {
    const std::int64_t size = std::int64_t(side) * side;
    std::vector<std::int32_t> owner(size, -1);
    std::vector<float> weights(2 * size), distance(size, 1e30f);
    for (std::int64_t f = 0; f < num_faces; ++f) {
        std::array<Texel2, 3> t;
        for (int k = 0; k < 3; ++k) {
            const float* corner = uv + 2 * std::int64_t(uv_faces[3 * f + k]);
            t[k] = {double(corner[0]) * side, double(corner[1]) * side};
        }
        const double area = (t[1].x - t[0].x) * (t[2].y - t[0].y) - (t[1].y - t[0].y) * (t[2].x - t[0].x);
        const int x0 = std::max(0, int(std::floor(std::min({t[0].x, t[1].x, t[2].x}) - 1.5)));
        const int x1 = std::min(side - 1, int(std::ceil(std::max({t[0].x, t[1].x, t[2].x}) + 0.5)));
        const int y0 = std::max(0, int(std::floor(std::min({t[0].y, t[1].y, t[2].y}) - 1.5)));
        const int y1 = std::min(side - 1, int(std::ceil(std::max({t[0].y, t[1].y, t[2].y}) + 0.5)));
        for (int row = y0; row <= y1; ++row)
            for (int column = x0; column <= x1; ++column) {
                const Texel2 p = {column + 0.5, row + 0.5};
                const std::int64_t texel = std::int64_t(row) * side + column;
                const double b = ((p.x - t[0].x) * (t[2].y - t[0].y) - (p.y - t[0].y) * (t[2].x - t[0].x)) / area;
                const double c = ((p.y - t[0].y) * (t[1].x - t[0].x) - (p.x - t[0].x) * (t[1].y - t[0].y)) / area;
                std::array<double, 3> nearest = {1 - b - c, b, 0};
                if (!(b >= 0 && c >= 0 && b + c <= 1)) {  // also where the area is 0
                    if (distance[texel] <= 0) continue;
                    nearest = nearest_in_triangle(t, p);
                    if (nearest[2] > 1) continue;
                }
                if (nearest[2] >= distance[texel]) continue;
                distance[texel] = float(nearest[2]);
                owner[texel] = std::int32_t(f);
                weights[2 * texel] = float(nearest[0]), weights[2 * texel + 1] = float(nearest[1]);
            }
    }
    Texels texels;
    for (std::int64_t texel = 0; texel < size; ++texel) {
        if (owner[texel] < 0) continue;
        texels.texel.push_back(std::int32_t(texel));
        texels.face.push_back(owner[texel]);
        texels.weights.insert(texels.weights.end(), {weights[2 * texel], weights[2 * texel + 1]});
    }
    return texels;
}

void sample_photo(const TriangleMesh& mesh, const SurfaceSamples& samples, const float* texel_size,
                  const PhotoSource& source, float* color_sum, float* weight_sum, int threads) {
    const TextureCamera& camera = source.camera;
    double center[3] = {0, 0, 0};
    for (int k = 0; k < 3; ++k)
        for (int row = 0; row < 3; ++row) center[k] -= camera.rotation[3 * row + k] * camera.translation[row];
    const double focal = std::sqrt(camera.fx * camera.fy);
#pragma omp parallel for schedule(static, 4096) num_threads(threads)
    for (std::int64_t i = 0; i < samples.size; ++i) {
        const std::int32_t* corner = mesh.faces + 3 * std::int64_t(samples.face[i]);
        const double weights[3] = {samples.weights[2 * i], samples.weights[2 * i + 1],
                                   1.0 - samples.weights[2 * i] - samples.weights[2 * i + 1]};
        const float* p[3] = {mesh.vertices + 3 * std::int64_t(corner[0]), mesh.vertices + 3 * std::int64_t(corner[1]),
                             mesh.vertices + 3 * std::int64_t(corner[2])};
        double point[3], e1[3], e2[3];
        for (int k = 0; k < 3; ++k) {
            point[k] = weights[0] * p[0][k] + weights[1] * p[1][k] + weights[2] * p[2][k];
            e1[k] = double(p[1][k]) - p[0][k], e2[k] = double(p[2][k]) - p[0][k];
        }
        double toward = 0;  // > 0: the photo was taken from the front of the face
        for (int k = 0; k < 3; ++k) {
            const int m = (k + 1) % 3, n = (k + 2) % 3;
            toward += (e1[m] * e2[n] - e1[n] * e2[m]) * (center[k] - point[k]);
        }
        const auto q = to_camera(camera, point);
        if (!(toward > 0 && q[2] > kNear)) continue;
        const float u = float(camera.fx * q[0] / q[2] + camera.cx), v = float(camera.fy * q[1] / q[2] + camera.cy);
        if (!(u >= 0 && v >= 0 && u < float(camera.width) && v < float(camera.height))) continue;
        const float quality = visible_quality(source, u, v, q[2]);
        if (!(quality > 0)) continue;
        float weight = 0, color[3], offset[3] = {0, 0, 0};
        for (int k = 0; k < 3; ++k) {
            weight += float(weights[k]) * source.vertex_weight[corner[k]];
            for (int channel = 0; channel < 3; ++channel)
                offset[channel] += float(weights[k]) * source.vertex_offset[3 * std::int64_t(corner[k]) + channel];
        }
        weight = std::pow(weight * quality, source.sharpness);
        if (!(weight > 0)) continue;
        sample_pyramid(source.levels, u, v, float(texel_size[samples.face[i]] * focal / q[2]), color);
        for (int channel = 0; channel < 3; ++channel)
            color_sum[3 * i + channel] += weight * (source.gain[channel] * color[channel] + offset[channel]);
        weight_sum[i] += weight;
    }
}

}  // namespace handful
