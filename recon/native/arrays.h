// What both parts of recon._native need to take arrays from numpy and to give it some.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <vector>

namespace handful {

template <typename T, int... sizes>
using Fixed = nanobind::ndarray<T, nanobind::shape<sizes...>, nanobind::c_contig, nanobind::device::cpu>;

using Rgb = Fixed<const std::uint8_t, -1, -1, 3>;
using Matrix3 = Fixed<const double, 3, 3>;
using Matrix4 = Fixed<const double, 4, 4>;

inline void require(bool condition, const char* message) {
    if (!condition) throw nanobind::value_error(message);
}

// A pinhole camera of either kind of ours, for a picture of that size; world to camera.
template <typename View>
void place(View& view, const Matrix3& K, const Matrix4& cam_from_world) {
    require(K(0, 1) == 0, "K must have no skew");
    view.fx = K(0, 0), view.fy = K(1, 1), view.cx = K(0, 2), view.cy = K(1, 2);
    for (int row = 0; row < 3; ++row) {
        for (int column = 0; column < 3; ++column) view.rotation[3 * row + column] = cam_from_world(row, column);
        view.translation[row] = cam_from_world(row, 3);
    }
}

// Hands a vector's memory to numpy.
template <typename T>
nanobind::object to_numpy(std::vector<T>&& values, std::size_t columns) {
    namespace nb = nanobind;
    auto* kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    if (columns == 1) return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner));
    return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<2>>(kept->data(), {kept->size() / columns, columns}, owner));
}

}  // namespace handful
