// What the bindings need to know of the kernels: plain views of arrays and one table of functions per instruction set.
#pragma once

#include <cstdint>
#include <vector>

namespace handful {

constexpr int kBlock = 8;                              // voxels along the side of a block
constexpr int kVoxels = kBlock * kBlock * kBlock;      // voxels in a block
constexpr std::int64_t kKeyBias = std::int64_t(1) << 20;  // block coordinates lie in [-2^20, 2^20)

// A pinhole depth map. depth is z in the camera frame, 0 where there is none; rotation is row-major.
struct DepthView {
    const float* depth;    // [height, width]
    int height, width;
    double fx, fy, cx, cy;
    double rotation[9];    // cam_from_world
    double translation[3];
};

struct Surface {
    std::vector<float> vertices;          // [V, 3]
    std::vector<std::int32_t> faces;      // [F, 3]
    std::vector<std::uint8_t> vertex_rgb; // [V, 3]
};

struct Kernels {
    // Keys of the blocks within `truncation` (along the ray) of the depth map; sorted within a row, repeated across rows.
    std::vector<std::int64_t> (*touched_blocks)(const DepthView&, double voxel, double truncation, int threads);

    // Adds one view to `num_blocks` blocks; the sums are [num_blocks, 512] and, for colour, [num_blocks, 512, 4]. Voxels
    // farther than `truncation` in front of what the view sees get its weight times `free_weight`.
    void (*integrate)(const DepthView&, const std::uint8_t* rgb, const float* weight, const std::int32_t* blocks,
                      std::int64_t num_blocks, double voxel, double truncation, double free_weight, float* distance_sum,
                      float* weight_sum, float* color_sum, int threads);

    // Surface nets over blocks; neighbors [num_blocks, 8] holds the block at (+x, +y, +z) = bits 2, 1, 0, or -1.
    Surface (*surface_nets)(const std::int32_t* blocks, const std::int32_t* neighbors, std::int64_t num_blocks,
                            const float* distance, const float* weight, const float* color_sum, double voxel,
                            float min_weight, int threads);

    // For each pixel of a: adds 1 to `agreeing` where b shows the same surface, to `conflicting` where b looks through it.
    void (*compare_depths)(const DepthView& a, const DepthView& b, double tolerance, std::uint8_t* agreeing,
                           std::uint8_t* conflicting, int threads);

    // Sets seen[f] for the faces that show the view their front, within `tolerance` (z) of its measured depth.
    void (*faces_seen)(const DepthView&, const float* weight, const float* vertices, const std::int32_t* faces,
                       std::int64_t num_faces, double tolerance, std::uint8_t* seen, int threads);
};

}  // namespace handful
