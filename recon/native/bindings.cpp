// Python module recon._native: numpy arrays in and out, the kernels of the best instruction set of this machine.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "arrays.h"
#include "kernels.h"
#include "mesh_bindings.h"

namespace nb = nanobind;
using namespace nb::literals;
using handful::DepthView;
using handful::Fixed;
using handful::kVoxels;
using handful::Matrix3;
using handful::Matrix4;
using handful::require;
using handful::Rgb;
using handful::to_numpy;

#define DECLARE(isa)                          \
    namespace isa {                           \
    extern const handful::Kernels kernels;    \
    }
DECLARE(baseline)
#ifdef HANDFUL_HAS_v3
DECLARE(v3)
#endif
#ifdef HANDFUL_HAS_v4
DECLARE(v4)
#endif

namespace {

struct Choice {
    const handful::Kernels* kernels;
    const char* name;
};

Choice choose() {
#ifdef HANDFUL_HAS_v4
    if (__builtin_cpu_supports("x86-64-v4")) return {&v4::kernels, "v4"};
#endif
#ifdef HANDFUL_HAS_v3
    if (__builtin_cpu_supports("x86-64-v3")) return {&v3::kernels, "v3"};
#endif
    return {&baseline::kernels, "baseline"};
}

const Choice chosen = choose();

using Depth = Fixed<const float, -1, -1>;
using Blocks = Fixed<const std::int32_t, -1, 3>;

DepthView depth_view(const Depth& depth, const Matrix3& K, const Matrix4& cam_from_world) {
    require(depth.shape(0) * depth.shape(1) < (std::size_t(1) << 31), "depth has more than 2^31 pixels");
    DepthView view{depth.data(), int(depth.shape(0)), int(depth.shape(1))};
    handful::place(view, K, cam_from_world);
    return view;
}

nb::object touched_blocks(Depth depth, Matrix3 K, Matrix4 cam_from_world, double voxel, double truncation, int threads) {
    const DepthView view = depth_view(depth, K, cam_from_world);
    std::vector<std::int64_t> keys;
    {
        nb::gil_scoped_release release;
        keys = chosen.kernels->touched_blocks(view, voxel, truncation, threads);
    }
    return to_numpy(std::move(keys), 1);
}

void integrate(Depth depth, Rgb rgb, Depth weight, Matrix3 K, Matrix4 cam_from_world, Blocks blocks, double voxel,
               double truncation, double free_weight, Fixed<float, -1, kVoxels> distance_sum, Fixed<float, -1, kVoxels> weight_sum,
               Fixed<float, -1, kVoxels, 4> color_sum, int threads) {
    const DepthView view = depth_view(depth, K, cam_from_world);
    require(rgb.shape(0) == depth.shape(0) && rgb.shape(1) == depth.shape(1), "rgb and depth differ in size");
    require(weight.shape(0) == depth.shape(0) && weight.shape(1) == depth.shape(1), "weight and depth differ in size");
    const std::size_t n = blocks.shape(0);
    require(distance_sum.shape(0) == n && weight_sum.shape(0) == n && color_sum.shape(0) == n, "sums and blocks differ in length");
    nb::gil_scoped_release release;
    chosen.kernels->integrate(view, rgb.data(), weight.data(), blocks.data(), std::int64_t(n), voxel, truncation,
                              free_weight, distance_sum.data(), weight_sum.data(), color_sum.data(), threads);
}

nb::tuple surface_nets(Blocks blocks, Fixed<const std::int32_t, -1, 8> neighbors, Fixed<const float, -1, kVoxels> distance,
                       Fixed<const float, -1, kVoxels> weight, Fixed<const float, -1, kVoxels, 4> color_sum, double voxel,
                       float min_weight, int threads) {
    const std::size_t n = blocks.shape(0);
    require(neighbors.shape(0) == n && distance.shape(0) == n && weight.shape(0) == n && color_sum.shape(0) == n,
            "arrays and blocks differ in length");
    handful::Surface surface;
    {
        nb::gil_scoped_release release;
        surface = chosen.kernels->surface_nets(blocks.data(), neighbors.data(), std::int64_t(n), distance.data(),
                                               weight.data(), color_sum.data(), voxel, min_weight, threads);
    }
    return nb::make_tuple(to_numpy(std::move(surface.vertices), 3), to_numpy(std::move(surface.faces), 3),
                          to_numpy(std::move(surface.vertex_rgb), 3));
}

void compare_depths(Depth depth_a, Matrix3 K_a, Matrix4 a_from_world, Depth depth_b, Matrix3 K_b, Matrix4 b_from_world,
                    double tolerance, Fixed<std::uint8_t, -1, -1> agreeing, Fixed<std::uint8_t, -1, -1> conflicting, int threads) {
    const DepthView a = depth_view(depth_a, K_a, a_from_world), b = depth_view(depth_b, K_b, b_from_world);
    for (const auto* counts : {&agreeing, &conflicting})
        require(counts->shape(0) == depth_a.shape(0) && counts->shape(1) == depth_a.shape(1), "counts and depth differ in size");
    nb::gil_scoped_release release;
    chosen.kernels->compare_depths(a, b, tolerance, agreeing.data(), conflicting.data(), threads);
}

void faces_seen(Depth depth, Depth weight, Matrix3 K, Matrix4 cam_from_world, Fixed<const float, -1, 3> vertices,
                Fixed<const std::int32_t, -1, 3> faces, double tolerance, Fixed<std::uint8_t, -1> seen, int threads) {
    const DepthView view = depth_view(depth, K, cam_from_world);
    require(weight.shape(0) == depth.shape(0) && weight.shape(1) == depth.shape(1), "weight and depth differ in size");
    require(seen.shape(0) == faces.shape(0), "seen and faces differ in length");
    const std::int32_t num_vertices = std::int32_t(vertices.shape(0));
    for (std::size_t i = 0; i < faces.shape(0) * 3; ++i)
        require(faces.data()[i] >= 0 && faces.data()[i] < num_vertices, "a face names a vertex that does not exist");
    nb::gil_scoped_release release;
    chosen.kernels->faces_seen(view, weight.data(), vertices.data(), faces.data(), std::int64_t(faces.shape(0)), tolerance,
                               seen.data(), threads);
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("INSTRUCTION_SET") = chosen.name;
    m.attr("BLOCK_SIZE") = handful::kBlock;
    m.def("touched_blocks", &touched_blocks, "depth"_a, "K"_a, "cam_from_world"_a, "voxel"_a, "truncation"_a, "threads"_a);
    m.def("integrate", &integrate, "depth"_a, "rgb"_a, "weight"_a, "K"_a, "cam_from_world"_a, "blocks"_a, "voxel"_a,
          "truncation"_a, "free_weight"_a, "distance_sum"_a, "weight_sum"_a, "color_sum"_a, "threads"_a);
    m.def("surface_nets", &surface_nets, "blocks"_a, "neighbors"_a, "distance"_a, "weight"_a, "color_sum"_a, "voxel"_a,
          "min_weight"_a, "threads"_a);
    m.def("compare_depths", &compare_depths, "depth_a"_a, "K_a"_a, "a_from_world"_a, "depth_b"_a, "K_b"_a, "b_from_world"_a,
          "tolerance"_a, "agreeing"_a, "conflicting"_a, "threads"_a);
    m.def("faces_seen", &faces_seen, "depth"_a, "weight"_a, "K"_a, "cam_from_world"_a, "vertices"_a, "faces"_a, "tolerance"_a,
          "seen"_a, "threads"_a);
    bind_meshes(m);
}
