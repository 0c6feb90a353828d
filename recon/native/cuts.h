// How the faces around vertices come apart where an edge's collapse would end the manifold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace handful {

// One face of the fan around a vertex: its corner there, then the other two.
struct Spoke {
    std::int32_t corner, next, previous;
};

// The faces around a vertex, and which of the fans that they come apart to each belongs to.
struct Split {
    std::int32_t vertex;
    std::vector<Spoke> spokes;
    std::vector<int> piece;
};

// For each face around the joined vertex, those of a first, the one in which it goes on; -1: none.
std::vector<int> go_on(const std::vector<Spoke>& fan, std::size_t num_a);

// Numbers the chains.
std::vector<int> pieces(const std::vector<int>& following);

// How the faces around x come apart when those around a and b, which an edge joins to x, go on as given.
Split split_at(std::int32_t x, std::vector<Spoke> spokes, std::int32_t a, std::int32_t b, const std::vector<Spoke>& fan,
               const std::vector<int>& following);

// Whether no edge from the joined vertex to x has faces that do not go on in one another.
bool come_apart(std::int32_t x, const std::vector<Spoke>& fan, const std::vector<int>& following,
                const std::vector<int>& piece, const Split& split);

}  // namespace handful
