// The Python module matching._native: checks shapes, chooses the instruction set, releases the GIL.
#include "kernels.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace nb = nanobind;
using namespace handful;

namespace {

template <typename Scalar>
using Image = nb::ndarray<Scalar, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

struct Kernels {
    const char* name;
    bool (*is_supported)();
    void (*score_candidate)(const ScoreTask&);
    void (*check_view)(const ConsistencyTask&, int);
    void (*project_depth)(const DepthView&, const DepthView&, float*);
};

const std::vector<Kernels>& all_kernels() {
    static const std::vector<Kernels> kernels = {
#ifdef HANDFUL_HAS_v4
        {"v4", [] { return bool(__builtin_cpu_supports("x86-64-v4")); }, v4::score_candidate, v4::check_view,
         v4::project_depth},
#endif
#ifdef HANDFUL_HAS_v3
        {"v3", [] { return bool(__builtin_cpu_supports("x86-64-v3")); }, v3::score_candidate, v3::check_view,
         v3::project_depth},
#endif
        {"baseline", [] { return true; }, baseline::score_candidate, baseline::check_view,
         baseline::project_depth},
    };
    return kernels;
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Kernels& kernels : all_kernels())
        if (kernels.is_supported()) names.emplace_back(kernels.name);
    return names;
}

const Kernels& chosen(const std::optional<std::string>& name) {
    for (const Kernels& kernels : all_kernels())
        if (kernels.is_supported() && (!name || *name == kernels.name)) return kernels;
    throw std::invalid_argument("this machine has no instruction set " + name.value_or("at all"));
}

void require(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

template <typename Scalar>
bool has_shape(const Image<Scalar>& image, std::size_t rows, std::size_t columns) {
    return image.shape(0) == rows && image.shape(1) == columns;
}

// One source photo, kept alive with what Python gave.
struct StereoSource {
    StereoSource(Image<const std::uint32_t> pairs, std::optional<Image<const std::uint8_t>> valid, Matrix from_pixel,
                 std::vector<double> epipole)
        : pairs(pairs), valid(valid) {
        require(pairs.size() > 0, "a source must have pixels");
        require(pairs.size() < std::size_t(1) << 31, "a source must have fewer than 2^31 pixels");
        require(!valid || has_shape(*valid, pairs.shape(0), pairs.shape(1)), "valid must have the size of the source");
        require(from_pixel.shape(0) == 3 && from_pixel.shape(1) == 3, "from_pixel must be [3, 3]");
        require(epipole.size() == 3, "epipole must be [3]");
        source.pairs = pairs.data();
        source.valid = valid ? valid->data() : nullptr;
        source.height = int(pairs.shape(0));
        source.width = int(pairs.shape(1));
        for (int i = 0; i < 9; ++i) source.from_pixel[i] = float(from_pixel.data()[i]);
        for (int i = 0; i < 3; ++i) source.epipole[i] = float(epipole[i]);
    }

    Image<const std::uint32_t> pairs;
    std::optional<Image<const std::uint8_t>> valid;
    Source source;
};

void score_candidate(Image<const float> padded, Image<const float> mean, Image<const float> variance, int radius,
                     const std::vector<const StereoSource*>& sources, int num_best, float unseen,
                     Image<const float> candidate, std::optional<Image<float>> inverse_depth, Image<float> score,
                     float margin, int num_threads, std::optional<std::string> isa) {
    const std::size_t height = candidate.shape(0), width = candidate.shape(1);
    require(height > 0 && width > 0, "candidate must have pixels");
    require(radius >= 1 && radius <= 15, "radius must be in [1, 15]");
    require(has_shape(padded, height, width + 2 * radius), "padded must be [H, W + 2 radius]");
    require(has_shape(mean, height, width) && has_shape(variance, height, width), "mean, variance must be [H, W]");
    require(has_shape(score, height, width), "score must be [H, W]");
    require(!inverse_depth || has_shape(*inverse_depth, height, width), "inverse_depth must be [H, W]");
    require(num_best >= 1 && num_best <= kMaxBest, "num_best must be in [1, 4]");
    require(num_threads >= 1, "num_threads must be at least 1");
    std::vector<Source> plain;
    for (const StereoSource* source : sources) plain.push_back(source->source);
    ScoreTask task{};
    task.reference = {padded.data(), mean.data(), variance.data(), int(width), int(height), radius};
    task.sources = plain.data();
    task.num_sources = int(plain.size());
    task.num_best = num_best;
    task.unseen = unseen;
    task.candidate = candidate.data();
    task.inverse_depth = inverse_depth ? inverse_depth->data() : nullptr;
    task.score = score.data();
    task.margin = margin;
    task.num_threads = num_threads;
    const Kernels& kernels = chosen(isa);
    nb::gil_scoped_release unlocked;
    kernels.score_candidate(task);
}

// A depth map with its camera, kept alive with what Python gave.
struct CheckedView {
    CheckedView(Image<const float> depth, Matrix K, Matrix inverse_K, Matrix cam_from_world) : depth(depth) {
        require(K.shape(0) == 3 && K.shape(1) == 3, "K must be [3, 3]");
        require(inverse_K.shape(0) == 3 && inverse_K.shape(1) == 3, "inverse_K must be [3, 3]");
        require(cam_from_world.shape(0) == 4 && cam_from_world.shape(1) == 4, "cam_from_world must be [4, 4]");
        view.depth = depth.data();
        view.height = int(depth.shape(0));
        view.width = int(depth.shape(1));
        std::copy_n(K.data(), 9, view.K);
        std::copy_n(inverse_K.data(), 9, view.inverse_K);
        std::copy_n(cam_from_world.data(), 12, view.cam_from_world);
    }

    Image<const float> depth;
    DepthView view;
};

void check_view(const std::vector<const CheckedView*>& views, int index, double max_error_px,
                double max_relative_depth, double max_disparity_px, Image<float> fused,
                Image<std::uint8_t> num_agreeing, int num_threads, std::optional<std::string> isa) {
    require(index >= 0 && index < int(views.size()), "index must name one of the views");
    const std::size_t height = views[index]->depth.shape(0), width = views[index]->depth.shape(1);
    require(has_shape(fused, height, width), "fused must be [H, W]");
    require(has_shape(num_agreeing, height, width), "num_agreeing must be [H, W]");
    require(num_threads >= 1, "num_threads must be at least 1");
    std::vector<DepthView> plain;
    for (const CheckedView* view : views) plain.push_back(view->view);
    const ConsistencyTask task{plain.data(),     int(plain.size()), max_error_px,       max_relative_depth,
                               max_disparity_px, fused.data(),      num_agreeing.data(), num_threads};
    const Kernels& kernels = chosen(isa);
    nb::gil_scoped_release unlocked;
    kernels.check_view(task, index);
}

void project_depth(const CheckedView& from, const CheckedView& onto, Image<float> inverse_depth,
                   std::optional<std::string> isa) {
    require(has_shape(inverse_depth, onto.view.height, onto.view.width), "inverse_depth must have the size of onto");
    const Kernels& kernels = chosen(isa);
    nb::gil_scoped_release unlocked;
    kernels.project_depth(from.view, onto.view, inverse_depth.data());
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "Stereo kernels of matching; use matching.stereo and matching.consistency.";
    m.def("instruction_sets", &instruction_sets, "Names of the compiled sets that this machine can run, best first.");
    nb::class_<StereoSource>(m, "StereoSource")
        .def(nb::init<Image<const std::uint32_t>, std::optional<Image<const std::uint8_t>>, Matrix,
                      std::vector<double>>(),
             nb::arg("pairs"), nb::arg("valid").none(), nb::arg("from_pixel"), nb::arg("epipole"));
    m.def("score_candidate", &score_candidate, nb::arg("padded"), nb::arg("mean"), nb::arg("variance"),
          nb::arg("radius"), nb::arg("sources"), nb::kw_only(), nb::arg("num_best"), nb::arg("unseen"),
          nb::arg("candidate"), nb::arg("inverse_depth").none(), nb::arg("score"), nb::arg("margin"),
          nb::arg("num_threads"), nb::arg("isa").none() = nb::none(),
          "Correlate the sources under a candidate map of inverse depth; keep it where it beats the score.");
    nb::class_<CheckedView>(m, "CheckedView")
        .def(nb::init<Image<const float>, Matrix, Matrix, Matrix>(), nb::arg("depth"), nb::arg("K"),
             nb::arg("inverse_K"), nb::arg("cam_from_world"));
    m.def("check_view", &check_view, nb::arg("views"), nb::arg("index"), nb::kw_only(), nb::arg("max_error_px"),
          nb::arg("max_relative_depth"), nb::arg("max_disparity_px"), nb::arg("fused"), nb::arg("num_agreeing"),
          nb::arg("num_threads"), nb::arg("isa").none() = nb::none(),
          "Count the other views that agree with each depth of one view; write the mean inverse depth as depth.");
    m.def("project_depth", &project_depth, nb::arg("source"), nb::arg("onto"), nb::arg("inverse_depth"), nb::kw_only(),
          nb::arg("isa").none() = nb::none(),
          "Write the largest inverse depth that the pixels of one view have where they land in another, 0 for none.");
}
