// All kernels of this package for one instruction set, HANDFUL_ISA. Everything but the table at the end has internal
// linkage: see kernels.h.
#include "kernels.h"
#include "thread_pool.h"

#pragma GCC diagnostic ignored "-Wpsabi"  // no vector crosses a function that is not inlined

namespace handful::HANDFUL_ISA {
namespace {

#include "lanes.h"
#include "parallel.h"
#include "harmonics.h"
#include "tile_cover.h"
#include "project.h"
#include "tile_lists.h"
#include "extra.h"
#include "tiles.h"
#include "tiles_backward.h"
#include "gaussian_backward.h"
#include "camera_backward.h"
#include "project_backward.h"
#include "loss.h"
#include "adam.h"
#include "view_order.h"

void forward(Frame& frame, const Splats& splats, const View& view, const float* background, const Pictures& out,
             int threads) {
  frame.tiles_x = (view.width + TILE - 1) / TILE;
  frame.tiles_y = (view.height + TILE - 1) / TILE;
  project(frame, splats, view, out.radii, threads);
  number_slots(frame, view, splats.count, threads);
  sort_by_depth(frame, splats.count, threads);
  build_tile_lists(frame, threads);
  draw_tiles(frame, splats, view, background, out, threads);
  if (out.weights) add_up_weights(frame, splats.count, out.weights, threads);
}

void backward(Frame& frame, const Splats& splats, const View& view, const PictureValues& rendered,
              const PictureValues& gradients, const SplatGradients& out, int threads) {
  differentiate_tiles(frame, splats, view, rendered, gradients, out.background, threads);
  if (gradients.features) add_up_features(frame, splats, out.features, threads);
  differentiate_gaussians(frame, splats, view, out, threads);
}

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {forward, backward, photometric_loss, adam_step, back_to_front, view_colours};

}  // namespace handful::HANDFUL_ISA
