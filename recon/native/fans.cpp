#include "fans.h"

#include <algorithm>
#include <numeric>

namespace handful {
namespace {

std::int32_t start_of(const std::vector<Face>& faces, std::int32_t edge) { return faces[edge / 3][edge % 3]; }
std::int32_t next_edge(std::int32_t edge) { return edge % 3 == 2 ? edge - 2 : edge + 1; }

// Edges [3 F] in the order of their smaller vertex, and where those of each vertex begin [V + 1].
struct SortedEdges {
    std::vector<std::int32_t> edges;
    std::vector<std::int64_t> begin;
};

SortedEdges sort_edges(const std::vector<Face>& faces, std::int64_t num_vertices) {
    SortedEdges sorted{std::vector<std::int32_t>(3 * faces.size()), std::vector<std::int64_t>(num_vertices + 2, 0)};
    const auto smaller = [&](std::int32_t e) { return std::min(start_of(faces, e), start_of(faces, next_edge(e))); };
    const std::int32_t count = std::int32_t(sorted.edges.size());
    for (std::int32_t e = 0; e < count; ++e) ++sorted.begin[smaller(e) + 2];
    std::partial_sum(sorted.begin.begin(), sorted.begin.end(), sorted.begin.begin());
    for (std::int32_t e = 0; e < count; ++e) sorted.edges[sorted.begin[smaller(e) + 1]++] = e;
    return sorted;
}

// Pairs the edges that two faces have; marks the ends of edges that more have.
void pair_edges(const std::vector<Face>& faces, std::int64_t num_vertices, std::vector<std::int32_t>& opposite,
                std::vector<char>& is_seam) {
    SortedEdges sorted = sort_edges(faces, num_vertices);
    for (std::int64_t v = 0; v < num_vertices; ++v) {
        const auto begin = sorted.edges.begin() + sorted.begin[v], end = sorted.edges.begin() + sorted.begin[v + 1];
        const auto larger = [&](std::int32_t e) { return std::max(start_of(faces, e), start_of(faces, next_edge(e))); };
        std::sort(begin, end, [&](std::int32_t a, std::int32_t b) {
            return larger(a) != larger(b) ? larger(a) < larger(b) : a < b;
        });
        for (auto first = begin, last = begin; first != end; first = last) {
            while (last != end && larger(*last) == larger(*first)) ++last;
            if (last - first == 1) continue;
            const std::int32_t a = first[0], b = first[1];
            if (last - first == 2 && start_of(faces, a) != start_of(faces, b)) {
                opposite[a] = b, opposite[b] = a;
            } else {
                is_seam[v] = is_seam[larger(a)] = 1;
            }
        }
    }
}

std::int32_t root_of(std::vector<std::int32_t>& parent, std::int32_t corner) {
    while (parent[corner] != corner) corner = parent[corner] = parent[parent[corner]];
    return corner;
}

}  // namespace

FanMesh split_into_fans(const std::int32_t* faces, std::int64_t num_faces, std::int64_t num_vertices) {
    FanMesh mesh;
    for (std::int64_t f = 0; f < num_faces; ++f) {
        const Face face = {faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]};
        if (face[0] != face[1] && face[1] != face[2] && face[2] != face[0]) mesh.faces.push_back(face);
    }
    const std::int32_t num_corners = std::int32_t(3 * mesh.faces.size());
    mesh.opposite.assign(num_corners, -1);
    std::vector<char> was_seam(num_vertices, 0);
    pair_edges(mesh.faces, num_vertices, mesh.opposite, was_seam);
    std::vector<std::int32_t> parent(num_corners);
    std::iota(parent.begin(), parent.end(), 0);
    for (std::int32_t edge = 0; edge < num_corners; ++edge) {
        const std::int32_t other = mesh.opposite[edge];
        if (other < edge) continue;  // the start of an edge is the end of its opposite; a corner is named as its edge
        parent[root_of(parent, edge)] = root_of(parent, next_edge(other));
        parent[root_of(parent, next_edge(edge))] = root_of(parent, other);
    }
    std::vector<std::int32_t> number(num_corners, -1);
    for (std::int32_t corner = 0; corner < num_corners; ++corner) {
        std::int32_t& vertex = mesh.faces[corner / 3][corner % 3];
        std::int32_t& own = number[root_of(parent, corner)];
        if (own < 0) {
            own = std::int32_t(mesh.source.size());
            mesh.source.push_back(vertex);
            mesh.is_seam.push_back(was_seam[vertex]);
        }
        vertex = own;
    }
    return mesh;
}

}  // namespace handful
