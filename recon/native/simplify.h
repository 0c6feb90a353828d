// Fewer faces by collapsing edges.
#pragma once

#include <cstdint>
#include <vector>

namespace handful {

struct SimpleMesh {
    std::vector<float> vertices;      // [V, 3]
    std::vector<std::int32_t> faces;  // [F, 3]
};

// Collapses the edges that move the surface least until at most `max_faces` faces are left or no edge can be collapsed.
// How far a place moves counts `importance` [V] times there, and so do the lengths of what moves. No face turns over or
// degenerates, and none is made twice. Each edge keeps at most two faces and each vertex one fan of them: where a
// collapse would make more, at the neck of a handle or between two borders, the surface is cut there, without a gap.
// So what was closed stays closed. Edges that had more faces from the start stay where they are. Pieces that have become
// a triangle or a tetrahedron may go, but the last.
SimpleMesh simplify_mesh(const float* vertices, std::int64_t num_vertices, const std::int32_t* faces, std::int64_t num_faces,
                         const float* importance, std::int64_t max_faces);

}  // namespace handful
