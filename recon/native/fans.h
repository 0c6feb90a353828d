// Meshes whose vertices each have the faces of one fan.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace handful {

using Face = std::array<std::int32_t, 3>;

struct FanMesh {
    std::vector<Face> faces;             // counter-clockwise, no corner twice
    std::vector<std::int32_t> source;    // for each vertex the one it was
    std::vector<std::int32_t> opposite;  // [3 F] edge k of face f, from its corner k on, is 3 f + k; -1: none
    std::vector<char> is_seam;           // vertices of edges whose faces are neighbours in no such way
};

// Gives each fan of faces around a vertex a vertex of its own and drops degenerate faces. Faces are neighbours where they
// alone have an edge, in opposite directions; where four do, two each way, those that meet more flatly are. Vertices
// without faces are dropped.
FanMesh split_into_fans(const float* vertices, std::int64_t num_vertices, const std::int32_t* faces, std::int64_t num_faces);

}  // namespace handful
