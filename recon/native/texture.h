// Rasterisation of a mesh into a photo and into its texture, and the sampling of photos for points of the mesh.
#pragma once

#include <cstdint>
#include <vector>

namespace handful {

// A pinhole camera; rotation (cam_from_world) is row-major.
struct TextureCamera {
    int height, width;
    double fx, fy, cx, cy;
    double rotation[9];
    double translation[3];
};

struct TriangleMesh {
    const float* vertices;      // [num_vertices, 3]
    std::int64_t num_vertices;
    const std::int32_t* faces;  // [num_faces, 3]
    std::int64_t num_faces;
};

// Points on a mesh: the face that each lies on and the barycentric weights of that face's first two corners.
struct SurfaceSamples {
    const std::int32_t* face;   // [size]
    const float* weights;       // [size, 2]
    std::int64_t size;
};

struct Texels {
    std::vector<std::int32_t> texel;  // row * side + column, ascending
    std::vector<std::int32_t> face;
    std::vector<float> weights;       // two for each texel
};

// One level of a photo's pyramid: each has half as many rows and columns (rounded up) as the one before.
struct PhotoLevel {
    const std::uint8_t* rgb;  // [height, width, 3]
    int height, width;
};

// What one photo shows of a mesh, and how it is to count.
struct PhotoSource {
    TextureCamera camera;
    std::vector<PhotoLevel> levels;
    const float* depth;          // [height, width] of the mesh, 0 where there is none
    const float* quality;        // [height, width] in [0, 1]; 0 hides the pixel
    const float* vertex_weight;  // [num_vertices]
    const float* vertex_offset;  // [num_vertices, 3], added to the colour
    float gain[3];               // the colour is multiplied by it first
    double tolerance;            // relative depth by which a point may lie behind `depth`
    float sharpness;             // exponent of the weight
};

// Nearest depth (z) of the mesh in each pixel, 0 where there is none, and the face that it lies on, -1 there. Faces that
// reach behind the camera are left out.
void raster_mesh(const TriangleMesh& mesh, const TextureCamera& camera, float* depth, std::int32_t* face, int threads);

// The texels whose centres the faces cover in the texture, and those beside them whose nearest covered point is up to a
// texel away: for them that point. uv is [., 2] in [0, 1], (0, 0) at the first texel's outer corner.
Texels raster_uv(const float* uv, const std::int32_t* uv_faces, std::int64_t num_faces, int side);

// Adds what a photo shows of each sample to color_sum [size, 3] and weight_sum [size].
// texel_size [num_faces]: how far samples of a face lie apart, world units: photos that show more are averaged.
void sample_photo(const TriangleMesh& mesh, const SurfaceSamples& samples, const float* texel_size,
                  const PhotoSource& source, float* color_sum, float* weight_sum, int threads);

}  // namespace handful
