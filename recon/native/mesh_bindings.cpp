// The part of recon._native that simplifies and rasterises meshes and samples photos for their textures.
#include "mesh_bindings.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <cmath>

#include "arrays.h"
#include "simplify.h"
#include "texture.h"

namespace nb = nanobind;
using namespace nb::literals;
using handful::Fixed;
using handful::Matrix3;
using handful::Matrix4;
using handful::require;
using handful::Rgb;
using handful::to_numpy;

namespace {

using Vertices = Fixed<const float, -1, 3>;
using Faces = Fixed<const std::int32_t, -1, 3>;
using Image = Fixed<const float, -1, -1>;

void require_indices(const std::int32_t* indices, std::size_t count, std::size_t size, const char* message) {
    for (std::size_t i = 0; i < count; ++i) require(indices[i] >= 0 && std::size_t(indices[i]) < size, message);
}

handful::TriangleMesh triangle_mesh(const Vertices& vertices, const Faces& faces) {
    require_indices(faces.data(), faces.shape(0) * 3, vertices.shape(0), "a face names a vertex that does not exist");
    return {vertices.data(), std::int64_t(vertices.shape(0)), faces.data(), std::int64_t(faces.shape(0))};
}

handful::TextureCamera camera_of(const Matrix3& K, const Matrix4& cam_from_world, std::size_t height, std::size_t width) {
    require(height > 0 && width > 0 && height * width < (std::size_t(1) << 31), "a picture must have 1 to 2^31 pixels");
    handful::TextureCamera camera{int(height), int(width)};
    handful::place(camera, K, cam_from_world);
    return camera;
}

void raster_mesh(Vertices vertices, Faces faces, Matrix3 K, Matrix4 cam_from_world, Fixed<float, -1, -1> depth,
                 Fixed<std::int32_t, -1, -1> face, int threads) {
    require(face.shape(0) == depth.shape(0) && face.shape(1) == depth.shape(1), "face and depth differ in size");
    const auto mesh = triangle_mesh(vertices, faces);
    const auto camera = camera_of(K, cam_from_world, depth.shape(0), depth.shape(1));
    nb::gil_scoped_release release;
    handful::raster_mesh(mesh, camera, depth.data(), face.data(), threads);
}

nb::tuple raster_uv(Fixed<const float, -1, 2> uv, Faces uv_faces, int side) {
    require(side > 0 && side <= 16384, "side must lie in [1, 16384]");
    require_indices(uv_faces.data(), uv_faces.shape(0) * 3, uv.shape(0), "a face names a uv that does not exist");
    for (std::size_t i = 0; i < uv.shape(0) * 2; ++i) require(uv.data()[i] >= 0 && uv.data()[i] <= 1, "uv must lie in [0, 1]");
    handful::Texels texels;
    {
        nb::gil_scoped_release release;
        texels = handful::raster_uv(uv.data(), uv_faces.data(), std::int64_t(uv_faces.shape(0)), side);
    }
    return nb::make_tuple(to_numpy(std::move(texels.texel), 1), to_numpy(std::move(texels.face), 1),
                          to_numpy(std::move(texels.weights), 2));
}

void sample_photo(Vertices vertices, Faces faces, Fixed<const std::int32_t, -1> sample_face,
                  Fixed<const float, -1, 2> sample_weights, Fixed<const float, -1> texel_size, std::vector<Rgb> levels,
                  Matrix3 K, Matrix4 cam_from_world, Image depth, Image quality, Fixed<const float, -1> vertex_weight,
                  Fixed<const float, -1, 3> vertex_offset, Fixed<const float, 3> gain, double tolerance, float sharpness,
                  Fixed<float, -1, 3> color_sum, Fixed<float, -1> weight_sum, int threads) {
    const auto mesh = triangle_mesh(vertices, faces);
    const std::size_t size = sample_face.shape(0), height = depth.shape(0), width = depth.shape(1);
    require_indices(sample_face.data(), size, faces.shape(0), "a sample names a face that does not exist");
    require(sample_weights.shape(0) == size && color_sum.shape(0) == size && weight_sum.shape(0) == size,
            "arrays of samples differ in length");
    require(texel_size.shape(0) == faces.shape(0), "texel_size and faces differ in length");
    require(vertex_weight.shape(0) == vertices.shape(0) && vertex_offset.shape(0) == vertices.shape(0),
            "arrays of vertices differ in length");
    require(!levels.empty() && levels[0].shape(0) == height && levels[0].shape(1) == width &&
                quality.shape(0) == height && quality.shape(1) == width,
            "photo, depth and quality differ in size");
    handful::PhotoSource source{camera_of(K, cam_from_world, height, width), {}, depth.data(), quality.data(),
                                vertex_weight.data(), vertex_offset.data(), {gain(0), gain(1), gain(2)}, tolerance, sharpness};
    for (const auto& level : levels) {
        require(level.shape(0) > 0 && level.shape(1) > 0, "a level has no pixels");
        source.levels.push_back({level.data(), int(level.shape(0)), int(level.shape(1))});
    }
    nb::gil_scoped_release release;
    handful::sample_photo(mesh, {sample_face.data(), sample_weights.data(), std::int64_t(size)}, texel_size.data(), source,
                          color_sum.data(), weight_sum.data(), threads);
}

nb::tuple simplify_mesh(Vertices vertices, Faces faces, Fixed<const float, -1> importance, std::int64_t max_faces) {
    const auto mesh = triangle_mesh(vertices, faces);
    require(vertices.shape(0) < (std::size_t(1) << 29) && faces.shape(0) < (std::size_t(1) << 29), "the mesh is too large");
    for (std::size_t i = 0; i < 3 * vertices.shape(0); ++i) require(std::isfinite(vertices.data()[i]), "vertices must be finite");
    require(importance.shape(0) == vertices.shape(0), "importance and vertices differ in length");
    for (std::size_t i = 0; i < importance.shape(0); ++i)
        require(std::isfinite(importance.data()[i]) && importance.data()[i] > 0, "importance must be positive and finite");
    handful::SimpleMesh simple;
    {
        nb::gil_scoped_release release;
        simple = handful::simplify_mesh(mesh.vertices, mesh.num_vertices, mesh.faces, mesh.num_faces, importance.data(),
                                        max_faces);
    }
    return nb::make_tuple(to_numpy(std::move(simple.vertices), 3), to_numpy(std::move(simple.faces), 3));
}

}  // namespace

void bind_meshes(nb::module_& m) {
    m.def("raster_mesh", &raster_mesh, "vertices"_a, "faces"_a, "K"_a, "cam_from_world"_a, "depth"_a, "face"_a, "threads"_a);
    m.def("raster_uv", &raster_uv, "uv"_a, "uv_faces"_a, "side"_a);
    m.def("sample_photo", &sample_photo, "vertices"_a, "faces"_a, "sample_face"_a, "sample_weights"_a, "texel_size"_a,
          "levels"_a, "K"_a, "cam_from_world"_a, "depth"_a, "quality"_a, "vertex_weight"_a, "vertex_offset"_a, "gain"_a,
          "tolerance"_a, "sharpness"_a, "color_sum"_a, "weight_sum"_a, "threads"_a);
    m.def("simplify_mesh", &simplify_mesh, "vertices"_a, "faces"_a, "importance"_a, "max_faces"_a);
}
