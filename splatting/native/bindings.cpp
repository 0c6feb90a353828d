// The Python module splatting._native: checks shapes, releases the GIL, picks the kernels for this processor.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels.h"

namespace nb = nanobind;

namespace handful {

namespace baseline { extern const Kernels kernels; }
#ifdef HANDFUL_HAS_v3
namespace v3 { extern const Kernels kernels; }
#endif
#ifdef HANDFUL_HAS_v4
namespace v4 { extern const Kernels kernels; }
#endif

// An address sanitizer sees only what is behind an allocation: then nothing is allocated ahead or used again.
#ifdef __SANITIZE_ADDRESS__
constexpr bool IS_SANITIZED = true;
#else
constexpr bool IS_SANITIZED = false;
#endif

Memory::~Memory() { std::free(data_); }

void Memory::reserve(size_t bytes) {
  size_t ahead = IS_SANITIZED ? 0 : bytes / 4;  // a quarter more: the next frame is seldom of exactly this size
  bytes = (bytes + ahead + 63) / 64 * 64;
  void* grown = std::aligned_alloc(64, bytes);
  if (!grown) throw std::bad_alloc();
  std::free(data_);
  data_ = grown, bytes_ = bytes;
}

void refuse_slots() {
  throw std::length_error("the Gaussians cover 2^32 tiles of the picture: they are far too large, or too many");
}

namespace {

struct NamedKernels {
  const char* name;
  const Kernels* kernels;
};

// Fastest first.
std::vector<NamedKernels> supported() {
  std::vector<NamedKernels> sets;
#ifdef HANDFUL_HAS_v4
  if (__builtin_cpu_supports("x86-64-v4")) sets.push_back({"v4", &v4::kernels});
#endif
#ifdef HANDFUL_HAS_v3
  if (__builtin_cpu_supports("x86-64-v3")) sets.push_back({"v3", &v3::kernels});
#endif
  sets.push_back({"baseline", &baseline::kernels});
  return sets;
}

NamedKernels chosen = supported().front();

void choose(const std::string& name) {
  for (const NamedKernels& set : supported())
    if (name == set.name) {
      chosen = set;
      return;
    }
  throw nb::value_error(("this processor or build has no instruction set " + name).c_str());
}

// Frames not in use. A frame of 100k Gaussians holds about 20 MB; taking it fresh from the system every step would
// cost a fifth of the step in page faults.
class FramePool {
 public:
  std::unique_ptr<Frame> take() {
    std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<Frame>();
    auto frame = std::move(idle_.back());
    idle_.pop_back();
    return frame;
  }
  void give_back(std::unique_ptr<Frame> frame) {
    std::lock_guard lock(mutex_);
    if (idle_.size() < KEPT) idle_.push_back(std::move(frame));
  }

 private:
  static constexpr size_t KEPT = IS_SANITIZED ? 0 : 2;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Frame>> idle_;
};

FramePool& pool() {
  static FramePool instance;
  return instance;
}

// What Python holds between a forward and its backward.
struct HeldFrame {
  HeldFrame() : frame(pool().take()) {}
  ~HeldFrame() { pool().give_back(std::move(frame)); }
  HeldFrame(const HeldFrame&) = delete;
  HeldFrame& operator=(const HeldFrame&) = delete;
  std::unique_ptr<Frame> frame;
};

template <class... Shape>
using Floats = nb::ndarray<const float, Shape..., nb::c_contig, nb::device::cpu>;
template <class... Shape>
using FloatsOut = nb::ndarray<float, Shape..., nb::c_contig, nb::device::cpu>;
using Triples = Floats<nb::shape<-1, 3>>;
using Fours = Floats<nb::shape<-1, 4>>;
using Singles = Floats<nb::ndim<1>>;
using Coefficients = Floats<nb::shape<-1, -1, 3>>;
using Plane = Floats<nb::ndim<2>>;
using Picture = Floats<nb::shape<-1, -1, 3>>;
using Stack = Floats<nb::ndim<3>>;
using Mask = nb::ndarray<const bool, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using PlaneOut = FloatsOut<nb::ndim<2>>;
using PictureOut = FloatsOut<nb::shape<-1, -1, 3>>;
using StackOut = FloatsOut<nb::ndim<3>>;
using Doubles44 = nb::ndarray<const double, nb::shape<4, 4>, nb::c_contig, nb::device::cpu>;
using Doubles33 = nb::ndarray<const double, nb::shape<3, 3>, nb::c_contig, nb::device::cpu>;

void require(bool holds, const char* message) {
  if (!holds) throw nb::value_error(message);
}

View make_view(const Doubles33& K, const Doubles44& cam_from_world, int width, int height, float near,
               bool antialiased) {
  View view{};
  const double *k = K.data(), *m = cam_from_world.data();
  for (int r = 0; r < 3; r++) {
    for (int c = 0; c < 3; c++) view.R[r][c] = static_cast<float>(m[4 * r + c]);
    view.t[r] = static_cast<float>(m[4 * r + 3]);
    view.center[r] = static_cast<float>(-(m[r] * m[3] + m[4 + r] * m[7] + m[8 + r] * m[11]));
  }
  view.fx = static_cast<float>(k[0]), view.fy = static_cast<float>(k[4]);
  view.cx = static_cast<float>(k[2]), view.cy = static_cast<float>(k[5]);
  view.near = near, view.width = width, view.height = height, view.antialiased = antialiased;
  return view;
}

// The arrays of the Gaussians, kept alive while the kernels look at them.
struct SplatArrays {
  SplatArrays(Triples means, Fours quats, Triples scales, Singles opacities, Coefficients sh,
              std::optional<Plane> features, int degree)
      : means(means), quats(quats), scales(scales), opacities(opacities), sh(sh), features(features) {
    size_t n = means.shape(0);
    require(quats.shape(0) == n && scales.shape(0) == n && opacities.shape(0) == n && sh.shape(0) == n,
            "all parameters must be of the same number of Gaussians");
    require(!features || features->shape(0) == n, "all parameters must be of the same number of Gaussians");
    require(n < (1u << 30), "more than 2^30 Gaussians");
    int used = (degree + 1) * (degree + 1);  // -1: plain colours
    require(degree >= -1 && degree <= 3 && static_cast<size_t>(used) <= sh.shape(1), "degree above that of colours");
    require(degree >= 0 || sh.shape(1) == 1, "plain colours must be [N, 1, 3]");
    splats = {means.data(), quats.data(), scales.data(), opacities.data(), sh.data(),
              features ? features->data() : nullptr, static_cast<int>(n), static_cast<int>(sh.shape(1)), used,
              features ? static_cast<int>(features->shape(1)) : 0};
  }
  Triples means;
  Fours quats;
  Triples scales;
  Singles opacities;
  Coefficients sh;
  std::optional<Plane> features;
  Splats splats;
};

template <class Array>
void require_size(const Array& array, const View& view) {
  require(array.shape(0) == static_cast<size_t>(view.height) && array.shape(1) == static_cast<size_t>(view.width),
          "pictures must have the size of the view");
}

template <class Array>
void require_features(const Array& picture, const Splats& splats, const View& view) {
  require_size(picture, view);
  require(picture.shape(2) == static_cast<size_t>(splats.channels), "features must be [H, W, C]");
}

void forward(HeldFrame& held, const SplatArrays& arrays, const View& view, Floats<nb::shape<3>> background,
             PictureOut rgb, PlaneOut alpha, PlaneOut depth, PlaneOut median_depth, std::optional<StackOut> features,
             FloatsOut<nb::ndim<1>> radii, std::optional<FloatsOut<nb::ndim<1>>> weights, int threads) {
  require_size(rgb, view), require_size(alpha, view), require_size(depth, view), require_size(median_depth, view);
  size_t n = arrays.splats.count;
  require(radii.shape(0) == n && (!weights || weights->shape(0) == n), "radii and weights must be [N]");
  require(features || arrays.splats.channels == 0, "features have no picture");
  if (features) require_features(*features, arrays.splats, view);
  require(threads >= 1, "threads must be at least 1");
  Pictures out{rgb.data(), alpha.data(), depth.data(), median_depth.data(), features ? features->data() : nullptr,
               radii.data(), weights ? weights->data() : nullptr};
  nb::gil_scoped_release release;
  chosen.kernels->forward(*held.frame, arrays.splats, view, background.data(), out, threads);
}

void backward(HeldFrame& held, const SplatArrays& arrays, const View& view, Picture rgb, Plane alpha, Plane depth,
              std::optional<Stack> features, Picture g_rgb, Plane g_alpha, std::optional<Plane> g_depth,
              std::optional<Plane> g_median, std::optional<Stack> g_features, FloatsOut<nb::shape<-1, 3>> means,
              FloatsOut<nb::shape<-1, 4>> quats, FloatsOut<nb::shape<-1, 3>> scales, FloatsOut<nb::ndim<1>> opacities,
              FloatsOut<nb::shape<-1, -1, 3>> sh, std::optional<PlaneOut> splat_features,
              FloatsOut<nb::shape<3>> background,
              std::optional<FloatsOut<nb::shape<CAMERA_NUMBERS>>> camera, int threads) {
  require_size(rgb, view), require_size(alpha, view), require_size(depth, view);
  require_size(g_rgb, view), require_size(g_alpha, view);
  if (g_depth) require_size(*g_depth, view);
  if (g_median) require_size(*g_median, view);
  const Splats& splats = arrays.splats;
  size_t n = splats.count;
  if (g_features) {
    require(features && splat_features, "features have no picture, or no place for their gradients");
    require_features(*features, splats, view), require_features(*g_features, splats, view);
    require(splat_features->shape(0) == n && splat_features->shape(1) == static_cast<size_t>(splats.channels),
            "gradients must have the shapes of the parameters");
  }
  require(means.shape(0) == n && quats.shape(0) == n && scales.shape(0) == n && opacities.shape(0) == n &&
              sh.shape(0) == n && sh.shape(1) == static_cast<size_t>(splats.sh_stored),
          "gradients must have the shapes of the parameters");
  require(threads >= 1, "threads must be at least 1");
  PictureValues rendered{rgb.data(), alpha.data(), depth.data(), nullptr, features ? features->data() : nullptr};
  PictureValues gradients{g_rgb.data(), g_alpha.data(), g_depth ? g_depth->data() : nullptr,
                          g_median ? g_median->data() : nullptr, g_features ? g_features->data() : nullptr};
  SplatGradients out{means.data(), quats.data(), scales.data(), opacities.data(), sh.data(),
                     splat_features ? splat_features->data() : nullptr, background.data(),
                     camera ? camera->data() : nullptr};
  nb::gil_scoped_release release;
  chosen.kernels->backward(*held.frame, splats, view, rendered, gradients, out, threads);
}

double photometric_loss(Picture rgb, Picture target, std::optional<Mask> valid, float ssim_weight,
                        std::optional<PictureOut> gradient, int threads) {
  require(rgb.shape(0) == target.shape(0) && rgb.shape(1) == target.shape(1), "target must have the shape of rgb");
  require(!valid || (valid->shape(0) == rgb.shape(0) && valid->shape(1) == rgb.shape(1)), "valid must be [H, W]");
  require(!gradient || (gradient->shape(0) == rgb.shape(0) && gradient->shape(1) == rgb.shape(1)),
          "gradient must have the shape of rgb");
  require(threads >= 1, "threads must be at least 1");
  require(rgb.shape(0) > 0 && rgb.shape(1) > 0, "the picture is empty");
  const uint8_t* mask = valid ? reinterpret_cast<const uint8_t*>(valid->data()) : nullptr;
  float* g = gradient ? gradient->data() : nullptr;
  nb::gil_scoped_release release;
  return chosen.kernels->photometric_loss(rgb.data(), target.data(), mask, static_cast<int>(rgb.shape(0)),
                                          static_cast<int>(rgb.shape(1)), ssim_weight, g, threads);
}

void adam_step(FloatsOut<nb::ndim<2>> value, Plane gradient, FloatsOut<nb::ndim<2>> mean, FloatsOut<nb::ndim<2>> square,
               Singles rates, double beta1, double beta2, double epsilon, int step, int threads) {
  size_t count = value.shape(0), columns = value.shape(1);
  auto fits = [&](const auto& array) { return array.shape(0) == count && array.shape(1) == columns; };
  require(fits(gradient) && fits(mean) && fits(square), "gradient and moments must have the shape of the values");
  require(rates.shape(0) == columns, "there must be one rate for every column");
  require(count < (1u << 30) && columns < (1u << 20), "too many values");
  require(step >= 1 && threads >= 1, "step and threads must be at least 1");
  std::vector<float> corrected(columns);
  double bias1 = 1. - std::pow(beta1, step), bias2 = 1. - std::pow(beta2, step);
  for (size_t c = 0; c < columns; c++) corrected[c] = static_cast<float>(rates.data()[c] / bias1);
  AdamStep work{value.data(), mean.data(), square.data(), gradient.data(), corrected.data(), static_cast<int>(columns),
                static_cast<float>(beta1), static_cast<float>(beta2), static_cast<float>(1. / std::sqrt(bias2)),
                static_cast<float>(epsilon)};
  nb::gil_scoped_release release;
  chosen.kernels->adam_step(work, static_cast<int>(count), threads);
}

// Orders Gaussians for one view after the other; its scratch memory stays.
struct DepthSorter {
  Memory scratch;
};

int back_to_front(DepthSorter& sorter, Triples means, int count, Floats<nb::shape<4>> depth_row, float near,
                  nb::ndarray<uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> order) {
  require(count >= 0 && static_cast<size_t>(count) <= means.shape(0), "count must be at most the number of Gaussians");
  require(order.shape(0) >= static_cast<size_t>(count), "order must have room for count numbers");
  require(near > 0.f, "near must be positive");
  nb::gil_scoped_release release;
  return chosen.kernels->back_to_front(means.data(), count, depth_row.data(), near, sorter.scratch, order.data());
}

void view_colours(Triples means, Coefficients sh, int degree, Floats<nb::shape<3>> center, int count,
                  nb::ndarray<uint8_t, nb::shape<-1, 4>, nb::c_contig, nb::device::cpu> rgbx) {
  size_t n = means.shape(0), used = static_cast<size_t>(degree + 1) * (degree + 1);
  require(sh.shape(0) == n, "means and sh must be of the same number of Gaussians");
  require(degree >= 0 && degree <= 3 && used <= sh.shape(1), "degree must be 0 to 3, and not above that of sh");
  require(count >= 0 && static_cast<size_t>(count) <= n, "count must be at most the number of Gaussians");
  require(rgbx.shape(0) >= static_cast<size_t>(count), "rgbx must have room for count colours");
  Splats splats{};
  splats.means = means.data(), splats.sh = sh.data(), splats.count = count;
  splats.sh_stored = static_cast<int>(sh.shape(1)), splats.sh_used = static_cast<int>(used);
  View view{};
  for (int axis = 0; axis < 3; axis++) view.center[axis] = center.data()[axis];
  nb::gil_scoped_release release;
  chosen.kernels->view_colours(splats, view, count, rgbx.data());
}

}  // namespace
}  // namespace handful

NB_MODULE(_native, m) {
  using namespace handful;
  nb::set_leak_warnings(false);  // an autograd graph may outlive the interpreter, and its frames with it
  m.doc() = "Native kernels of the splatting package: the tile rasterizer and the photometric loss.";
  m.def("instruction_sets", [] {
    nb::list names;
    for (const NamedKernels& set : supported()) names.append(set.name);
    return names;
  }, "Names of the instruction sets that this processor and this build have, fastest first.");
  m.def("instruction_set", [] { return chosen.name; }, "Name of the instruction set in use.");
  m.def("use_instruction_set", &choose, nb::arg("name"), "Use another instruction set; for tests and measurements.");
  nb::class_<HeldFrame>(m, "Frame", "What one forward pass leaves for its backward pass; memory comes from a pool.")
      .def(nb::init<>())
      .def_prop_ro("num_drawn", [](const HeldFrame& h) { return h.frame->num_drawn; })
      .def_prop_ro("num_entries", [](const HeldFrame& h) { return h.frame->num_entries; });
  nb::class_<View>(m, "View", "A pinhole camera: K [3, 3], cam_from_world [4, 4], size in px, near plane, antialiasing.")
      .def("__init__", [](View* self, Doubles33 K, Doubles44 cam_from_world, int width, int height, float near,
                          bool antialiased) {
        new (self) View(make_view(K, cam_from_world, width, height, near, antialiased));
      });
  nb::class_<SplatArrays>(m, "Splats", "Activated Gaussians and the spherical-harmonics degree to draw them with; -1: colours [N, 1, 3] are plain.")
      .def(nb::init<Triples, Fours, Triples, Singles, Coefficients, std::optional<Plane>, int>(), nb::arg("means"),
           nb::arg("quats_wxyz"), nb::arg("scales"), nb::arg("opacities"), nb::arg("colours"),
           nb::arg("features").none(), nb::arg("degree"));
  m.def("forward", &handful::forward, nb::arg("frame"), nb::arg("splats"), nb::arg("view"), nb::arg("background"),
        nb::arg("rgb"), nb::arg("alpha"), nb::arg("depth"), nb::arg("median_depth"), nb::arg("features").none(),
        nb::arg("radii"), nb::arg("weights").none(), nb::arg("threads"),
        "Draw into rgb [H, W, 3], alpha, depth, median_depth [H, W] and features [H, W, C]; write radii [N] and, unless "
        "it is None, weights [N].");
  m.def("backward", &handful::backward, nb::arg("frame"), nb::arg("splats"), nb::arg("view"), nb::arg("rgb"),
        nb::arg("alpha"), nb::arg("depth"), nb::arg("features").none(), nb::arg("g_rgb"), nb::arg("g_alpha"),
        nb::arg("g_depth").none(), nb::arg("g_median_depth").none(), nb::arg("g_features").none(),
        nb::arg("g_means"), nb::arg("g_quats_wxyz"), nb::arg("g_scales"), nb::arg("g_opacities"), nb::arg("g_colours"),
        nb::arg("g_splat_features").none(), nb::arg("g_background"), nb::arg("g_camera").none(), nb::arg("threads"),
        "Write the gradients of the parameters, given the rendered pictures and theirs; those of depth, median_depth and "
        "features may be None. "
        "g_camera [16], unless it is None, is that of [R | t] by rows, fx, fy, cx, cy.");
  m.def("photometric_loss", &handful::photometric_loss, nb::arg("rgb"), nb::arg("target"), nb::arg("valid").none(),
        nb::arg("ssim_weight"), nb::arg("gradient").none(), nb::arg("threads"),
        "(1 - w) L1 + w (1 - SSIM); writes its gradient with respect to rgb unless that is None.");
  m.def("adam_step", &handful::adam_step, nb::arg("value"), nb::arg("gradient"), nb::arg("mean"), nb::arg("square"),
        nb::arg("rates"), nb::arg("beta1"), nb::arg("beta2"), nb::arg("epsilon"), nb::arg("step"), nb::arg("threads"),
        "One step of Adam on value [N, C] in place, with a rate for every column [C]; step counts from 1.");
  nb::class_<DepthSorter>(m, "DepthSorter", "Scratch memory of `back_to_front`; for one thread at a time.")
      .def(nb::init<>());
  m.def("back_to_front", &handful::back_to_front, nb::arg("sorter"), nb::arg("means"), nb::arg("count"),
        nb::arg("depth_row"), nb::arg("near"), nb::arg("order"),
        "Write into order [>= count] which of the first count Gaussians have a depth row . (x, y, z, 1) >= near, the "
        "farthest first; returns how many.");
  m.def("view_colours", &handful::view_colours, nb::arg("means"), nb::arg("sh"), nb::arg("degree"), nb::arg("center"),
        nb::arg("count"), nb::arg("rgbx"),
        "Write the first three bytes of rgbx [>= count, 4]: colours of the first count Gaussians seen from center [3].");
}
