#include "cuts.h"

#include <algorithm>
#include <array>
#include <utility>

namespace handful {

std::vector<int> go_on(const std::vector<Spoke>& fan, std::size_t num_a) {
    const int count = int(fan.size());
    std::vector<int> following(count, -1);
    std::vector<char> follows(count, 0);
    for (const bool across : {true, false})
        for (int i = 0; i < count; ++i)
            for (int j = 0; j < count; ++j) {
                const bool other_side = (std::size_t(i) < num_a) != (std::size_t(j) < num_a);
                if (other_side != across || following[i] >= 0 || follows[j] || fan[i].previous != fan[j].next) continue;
                following[i] = j;
                follows[j] = 1;
            }
    return following;
}

std::vector<int> pieces(const std::vector<int>& following) {
    std::vector<char> is_start(following.size(), 1);
    for (const int next : following)
        if (next >= 0) is_start[next] = 0;
    std::vector<int> piece(following.size(), -1);
    int count = 0;
    for (const bool open : {true, false})  // what is left after open chains are cycles
        for (std::size_t start = 0; start < following.size(); ++start) {
            if (piece[start] >= 0 || (open && !is_start[start])) continue;
            for (int i = int(start); i >= 0 && piece[i] < 0; i = following[i]) piece[i] = count;
            ++count;
        }
    return piece;
}

Split split_at(std::int32_t x, std::vector<Spoke> spokes, std::int32_t a, std::int32_t b, const std::vector<Spoke>& fan,
               const std::vector<int>& following) {
    Split split{x, std::move(spokes), {}};
    const std::size_t count = split.spokes.size();
    const auto in_fan = [&](const Spoke& face) {
        return std::find_if(fan.begin(), fan.end(), [&](const Spoke& other) {
            return other.corner / 3 == face.corner / 3;
        }) - fan.begin();
    };
    std::vector<int> next(count, -1);
    for (std::size_t s = 0; s < count; ++s)
        for (std::size_t t = 0; t < count; ++t) {
            const std::int32_t from = split.spokes[s].previous, to = split.spokes[t].next;
            const bool is_joined = from == a || from == b;
            if (is_joined ? (to == a || to == b) && following[in_fan(split.spokes[t])] == in_fan(split.spokes[s]) : from == to)
                next[s] = int(t);
        }
    split.piece = pieces(next);
    return split;
}

bool come_apart(std::int32_t x, const std::vector<Spoke>& fan, const std::vector<int>& following,
                const std::vector<int>& piece, const Split& split) {
    std::vector<std::array<int, 3>> met;  // face of the fan, its piece there, its piece at x
    for (std::size_t i = 0; i < fan.size(); ++i)
        for (std::size_t s = 0; s < split.spokes.size(); ++s)
            if (split.spokes[s].corner / 3 == fan[i].corner / 3) met.push_back({int(i), piece[i], split.piece[s]});
    for (const auto& one : met)
        for (const auto& other : met) {
            const bool go_on_there = (following[one[0]] == other[0] && fan[one[0]].previous == x) ||
                                     (following[other[0]] == one[0] && fan[other[0]].previous == x);
            if (one[0] != other[0] && !go_on_there && one[1] == other[1] && one[2] == other[2]) return false;
        }
    return true;
}

}  // namespace handful
