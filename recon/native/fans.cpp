#include "fans.h"

#include <algorithm>
#include <numeric>

#include "quadric.h"

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

Vec normal_of(const float* vertices, const Face& face) {
    const auto at = [&](std::int64_t v) { return Vec{vertices[3 * v], vertices[3 * v + 1], vertices[3 * v + 2]}; };
    const Vec normal = cross(at(face[1]) - at(face[0]), at(face[2]) - at(face[0]));
    const double size = length(normal);
    return (size > 0 ? 1 / size : 0.0) * normal;
}

// Where four edges run along the same line, two each way, as two sheets that touch: pairs them as flatly as it goes.
bool pair_touching(const float* vertices, const std::vector<Face>& faces, const std::int32_t* edges,
                   std::vector<std::int32_t>& opposite) {
    std::array<std::int32_t, 2> forward{}, backward{};
    std::size_t num_forward = 0, num_backward = 0;
    for (int k = 0; k < 4; ++k) {
        const bool is_forward = start_of(faces, edges[k]) < start_of(faces, next_edge(edges[k]));
        if ((is_forward ? num_forward : num_backward) == 2) return false;
        (is_forward ? forward[num_forward++] : backward[num_backward++]) = edges[k];
    }
    const auto flat = [&](std::int32_t a, std::int32_t b) {
        return dot(normal_of(vertices, faces[a / 3]), normal_of(vertices, faces[b / 3]));
    };
    if (flat(forward[0], backward[0]) + flat(forward[1], backward[1]) <
        flat(forward[0], backward[1]) + flat(forward[1], backward[0]))
        std::swap(backward[0], backward[1]);
    for (int k = 0; k < 2; ++k) opposite[forward[k]] = backward[k], opposite[backward[k]] = forward[k];
    return true;
}

// Pairs the edges that two faces have, and those where two sheets touch, which it gives back by fours; marks the ends of
// edges that more have.
std::vector<std::int32_t> pair_edges(const float* vertices, const std::vector<Face>& faces, std::int64_t num_vertices,
                                     std::vector<std::int32_t>& opposite, std::vector<char>& is_seam) {
    std::vector<std::int32_t> touching;
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
            } else if (last - first == 4 && pair_touching(vertices, faces, &*first, opposite)) {
                touching.insert(touching.end(), first, last);
            } else {
                is_seam[v] = is_seam[larger(a)] = 1;
            }
        }
    }
    return touching;
}

std::int32_t root_of(std::vector<std::int32_t>& parent, std::int32_t corner) {
    while (parent[corner] != corner) corner = parent[corner] = parent[parent[corner]];
    return corner;
}

// Gives corners of neighbouring faces that meet one vertex.
FanMesh number_fans(FanMesh mesh, const std::vector<char>& was_seam) {
    const std::int32_t num_corners = std::int32_t(mesh.opposite.size());
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

}  // namespace

FanMesh split_into_fans(const float* vertices, std::int64_t num_vertices, const std::int32_t* faces, std::int64_t num_faces) {
    FanMesh mesh;
    for (std::int64_t f = 0; f < num_faces; ++f) {
        const Face face = {faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]};
        if (face[0] != face[1] && face[1] != face[2] && face[2] != face[0]) mesh.faces.push_back(face);
    }
    const std::int32_t num_corners = std::int32_t(3 * mesh.faces.size());
    mesh.opposite.assign(num_corners, -1);
    std::vector<char> was_seam(num_vertices, 0);
    const auto touching = pair_edges(vertices, mesh.faces, num_vertices, mesh.opposite, was_seam);
    FanMesh fans = number_fans(mesh, was_seam);
    // Sheets that hang together at both ends of an edge cannot be told apart there: they are cut open.
    bool is_cut = false;
    for (std::size_t i = 0; i < touching.size(); ++i) {
        const std::int32_t edge = touching[i];
        const auto ends = [&](std::int32_t e) {
            return std::minmax({start_of(fans.faces, e), start_of(fans.faces, next_edge(e))});
        };
        for (std::size_t k = i - i % 4; k < i - i % 4 + 4; ++k) {
            if (touching[k] == edge || fans.opposite[edge] == touching[k] || ends(edge) != ends(touching[k])) continue;
            mesh.opposite[edge] = -1;
            was_seam[start_of(mesh.faces, edge)] = was_seam[start_of(mesh.faces, next_edge(edge))] = 1;
            is_cut = true;
        }
    }
    return is_cut ? number_fans(mesh, was_seam) : fans;
}

}  // namespace handful
