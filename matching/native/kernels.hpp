// What the stereo kernels take: plain arrays, row-major, owned by the caller.
//
// Pixels as everywhere in the program: the first pixel's centre is (0.5, 0.5). Inverse depth is 1 / z of the
// reference camera.
#pragma once

#include <cstdint>

namespace handful {

constexpr int kMaxBest = 4;

// One photo in which the reference is looked for.
struct Source {
    const std::uint32_t* pairs;  // [height, width]: low half grey of a pixel, high half of its right neighbour, x 256
    const std::uint8_t* valid;   // [height, width], 0 where there is no photo; may be null
    int width, height;
    float from_pixel[9];         // K_source R inverse(K_reference): reference pixel -> source, at infinity
    float epipole[3];            // K_source t: added once per unit of inverse depth
};

// The reference photo at one scale with what a window needs of it.
struct Reference {
    const float* padded;    // [height, width + 2 radius] grey minus kGreyOffset, columns mirrored
    const float* mean;      // [height, width] over the window, of grey minus kGreyOffset
    const float* variance;  // [height, width] over the window
    int width, height, radius;
};

// Subtracted from grey values so that sums of squares keep their digits in float32.
constexpr float kGreyOffset = 128.0f;

struct ScoreTask {
    Reference reference;
    const Source* sources;
    int num_sources;
    int num_best;            // sources that count: those that agree best at the pixel
    float unseen;            // correlation that stands for a source that does not see the pixel
    const float* candidate;  // [height, width] inverse depth to try
    float* inverse_depth;    // [height, width] best so far, improved in place; null: only write `score`
    float* score;            // [height, width] score of `inverse_depth`
    float margin;            // a candidate wins when its score is above the old one by more than this
    int num_threads;
};

// A depth map for the consistency check.
struct DepthView {
    const float* depth;         // [height, width], 0 = none
    int width, height;
    double K[9], inverse_K[9];
    double cam_from_world[12];  // [3, 4]
};

struct ConsistencyTask {
    const DepthView* views;
    int num_views;
    double max_error_px;
    double max_relative_depth;
    double max_disparity_px;
    float* fused;                // [height, width] of the checked view
    std::uint8_t* num_agreeing;  // [height, width]
    int num_threads;
};

#define HANDFUL_DECLARE_KERNELS(isa)                                                        \
    namespace isa {                                                                         \
    void score_candidate(const ScoreTask& task);                                            \
    void check_view(const ConsistencyTask& task, int);                                      \
    void project_depth(const DepthView& from, const DepthView& onto, float* inverse_depth); \
    }

HANDFUL_DECLARE_KERNELS(baseline)
HANDFUL_DECLARE_KERNELS(v3)
HANDFUL_DECLARE_KERNELS(v4)
#undef HANDFUL_DECLARE_KERNELS

}  // namespace handful
