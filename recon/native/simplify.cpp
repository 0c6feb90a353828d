// Garland & Heckbert, Surface Simplification Using Quadric Error Metrics, 1997, with the quadrics of faces and borders
// weighted by area and importance, and with cuts where a collapse would end the manifold.
#include "simplify.h"

#include <limits>

#include "cuts.h"
#include "fans.h"
#include "quadric.h"

namespace handful {
namespace {

constexpr double kBorder = 0.1;        // weight of staying on a border against staying on a face as large
constexpr double kTowardMiddle = 1e-3; // pull to the middle of the edge, against the quadric: places vertices on planes
constexpr double kMinTurnCos = 0.2;    // between a face's normals before and after a collapse
constexpr double kMinThickness = 1e-3; // doubled area over squared longest side of a face that a collapse changes
constexpr std::size_t kMaxFan = 64;    // faces around a vertex that a collapse makes: bounds its time
constexpr std::size_t kMinFetch = 4096, kFetches = 32;  // candidates sorted at once: so many and this part of all
constexpr double kEnoughLeft = 0.999;   // a round that leaves more of the faces than this is the last

struct Candidate {
    float cost;
    std::int32_t a, b;
    std::uint32_t stamp;  // the sum of both: stamps only grow

    bool operator<(const Candidate& o) const {  // heaps give the largest: the cheapest, then the first
        if (cost != o.cost) return cost > o.cost;
        return a != o.a ? a > o.a : b > o.b;
    }
};

class Simplifier {
public:
    Simplifier(const float* vertices, std::int64_t num_vertices, const std::int32_t* faces, std::int64_t num_faces,
               const float* importance) {
        FanMesh mesh = split_into_fans(vertices, num_vertices, faces, num_faces);
        const std::size_t count = mesh.source.size();
        xyz_.resize(count), quadric_.resize(count), first_.assign(count, -1), stamp_.assign(count, 0), mark_.assign(count, 0);
        faces_ = std::move(mesh.faces), is_seam_ = std::move(mesh.is_seam), next_.assign(3 * faces_.size(), -1);
        num_faces_ = std::int64_t(faces_.size());
        for (std::size_t v = 0; v < count; ++v)
            for (int k = 0; k < 3; ++k) xyz_[v][k] = vertices[3 * std::int64_t(mesh.source[v]) + k];
        normalise();
        for (std::int32_t corner = 3 * std::int32_t(num_faces_) - 1; corner >= 0; --corner) link(corner);
        for (std::int32_t f = 0; f < num_faces_; ++f) {
            double total = 0;
            for (const std::int32_t v : faces_[f]) total += importance[mesh.source[v]];
            add_quadrics(f, total / 3, mesh.opposite);
        }
    }

    // What was not allowed at first may be later, when the places around it have changed: rounds, while they bring much.
    void run(std::int64_t max_faces) {
        for (double before = std::numeric_limits<double>::infinity();
             num_faces_ > max_faces && double(num_faces_) < kEnoughLeft * before;) {
            before = double(num_faces_);
            propose_all();
            while (num_faces_ > max_faces && (!heap_.empty() || fetch_cheapest())) {
                std::pop_heap(heap_.begin(), heap_.end());
                const Candidate next = heap_.back();
                heap_.pop_back();
                if (is_current(next)) try_collapse(next.a, next.b);
            }
        }
    }

    SimpleMesh result() const {
        SimpleMesh mesh;
        std::vector<std::int32_t> number(xyz_.size(), -1);
        for (const Face& face : faces_) {
            if (face[0] < 0) continue;
            for (const std::int32_t v : face) {
                if (number[v] < 0) {
                    number[v] = std::int32_t(mesh.vertices.size() / 3);
                    const Vec place = std::ldexp(1.0, exponent_) * xyz_[v] + origin_;
                    for (int k = 0; k < 3; ++k) mesh.vertices.push_back(float(place[k]));
                }
                mesh.faces.push_back(number[v]);
            }
        }
        return mesh;
    }

private:
    std::vector<Vec> xyz_;
    Vec origin_ = {0, 0, 0};  // places are stored from here, in units of 2^exponent_
    int exponent_ = 0;
    std::vector<Quadric> quadric_;
    std::vector<std::int32_t> first_, next_;  // corners 3 f + k of each vertex, linked
    std::vector<std::uint32_t> stamp_;        // counts the changes of each vertex
    std::vector<std::uint32_t> mark_;         // the last search that met each vertex
    std::uint32_t search_ = 0;
    std::vector<char> is_seam_;
    std::vector<Face> faces_;  // -1 when gone
    std::int64_t num_faces_ = 0;
    // A heap that fits into the cache has the candidates up to a cost; the others wait unsorted, and many become stale.
    std::vector<Candidate> heap_, waiting_;
    float heap_cost_ = -1;
    std::size_t waiting_limit_ = 0;
    // Of the collapse at hand: the faces around a without b, around b without a, and those of both.
    std::vector<Spoke> around_a_, around_b_, shared_;
    bool is_tetrahedron_ = false;                 // all there is of a closed piece
    bool is_open_a_ = false, is_open_b_ = false;  // on a border
    std::vector<std::int32_t> common_;            // vertices that an edge joins to both, beyond what a manifold allows

    void normalise() {  // far from the origin quadrics lose digits, and float does not hold costs of any unit
        for (const Vec& place : xyz_) origin_ = origin_ + (1.0 / double(xyz_.size())) * place;
        double farthest = 0;
        for (Vec& place : xyz_)
            for (double& x : place = place - origin_) farthest = std::max(farthest, std::abs(x));
        if (farthest > 0) std::frexp(farthest, &exponent_);
        for (Vec& place : xyz_) place = std::ldexp(1.0, -exponent_) * place;
    }

    void link(std::int32_t corner) {
        std::int32_t& first = first_[faces_[corner / 3][corner % 3]];
        next_[corner] = first;
        first = corner;
    }

    void unlink(std::int32_t vertex, std::int32_t face) {
        std::int32_t* at = &first_[vertex];
        while (*at / 3 != face) at = &next_[*at];
        *at = next_[*at];
    }

    Spoke spoke(std::int32_t corner) const {
        const Face& face = faces_[corner / 3];
        const int k = corner % 3;
        return {corner, face[k == 2 ? 0 : k + 1], face[k == 0 ? 2 : k - 1]};
    }

    void add_quadrics(std::int32_t f, double importance, const std::vector<std::int32_t>& opposite) {
        const Face& face = faces_[f];
        const Vec doubled = cross(xyz_[face[1]] - xyz_[face[0]], xyz_[face[2]] - xyz_[face[0]]);
        const double size = length(doubled);
        if (!(size > 0)) return;
        const Vec normal = (1 / size) * doubled;
        const double weight = importance * importance * importance * importance;  // distance and area, both squared
        for (const std::int32_t v : face) quadric_[v].add_plane(normal, -dot(normal, xyz_[face[0]]), weight * size / 6);
        for (int k = 0; k < 3; ++k) {
            if (opposite[3 * f + k] >= 0) continue;
            const std::int32_t a = face[k], b = face[(k + 1) % 3];
            const Vec edge = xyz_[b] - xyz_[a], across = cross(edge, normal);
            const double span = length(across);
            if (!(span > 0)) continue;
            const Vec outward = (1 / span) * across;
            for (const std::int32_t v : {a, b})
                quadric_[v].add_plane(outward, -dot(outward, xyz_[a]), kBorder * weight * dot(edge, edge) / 2);
        }
    }

    Quadric joined(std::int32_t a, std::int32_t b) const {
        Quadric sum = quadric_[a];
        sum.add(quadric_[b]);
        const double strength = sum.trace();
        sum.add_point(0.5 * (xyz_[a] + xyz_[b]), strength > 0 ? kTowardMiddle * strength : 1.0);
        return sum;
    }

    void propose(std::int32_t a, std::int32_t b) {
        if (a > b) std::swap(a, b);
        const Quadric sum = joined(a, b);
        const double cost = sum.at(sum.minimum()), most = std::numeric_limits<float>::max();
        const Candidate candidate = {float(cost < most ? cost : most), a, b, stamp_[a] + stamp_[b]};
        if (candidate.cost > heap_cost_) return waiting_.push_back(candidate);
        heap_.push_back(candidate);
        std::push_heap(heap_.begin(), heap_.end());
    }

    void propose_all() {
        heap_.clear(), waiting_.clear();
        heap_cost_ = -1;
        for (std::int32_t v = 0; v < std::int32_t(first_.size()); ++v) propose_around(v, v);
        waiting_limit_ = 2 * waiting_.size();
    }

    bool fetch_cheapest() {
        drop_stale();
        if (waiting_.empty()) return false;
        const auto last = waiting_.begin() + std::min(waiting_.size() - 1, kMinFetch + waiting_.size() / kFetches);
        std::nth_element(waiting_.begin(), last, waiting_.end(), [](const auto& a, const auto& b) { return b < a; });
        heap_cost_ = last->cost;
        const auto cut = std::partition(last, waiting_.end(), [&](const auto& c) { return c.cost <= heap_cost_; });
        heap_.assign(waiting_.begin(), cut);
        waiting_.erase(waiting_.begin(), cut);
        std::make_heap(heap_.begin(), heap_.end());
        return true;
    }

    // The edges from a vertex to larger ones than another, each once.
    void propose_around(std::int32_t v, std::int32_t above) {
        ++search_;
        for (std::int32_t corner = first_[v]; corner >= 0; corner = next_[corner]) {
            const Spoke face = spoke(corner);
            for (const std::int32_t other : {face.next, face.previous})
                if (other > above && mark_[other] != search_) mark_[other] = search_, propose(v, other);
        }
    }

    void propose_again(std::int32_t v) {
        ++stamp_[v];
        propose_around(v, -1);
        if (waiting_.size() > waiting_limit_) drop_stale();
    }

    bool is_current(const Candidate& c) const { return c.stamp == stamp_[c.a] + stamp_[c.b]; }

    void drop_stale() {
        std::erase_if(waiting_, [&](const Candidate& c) { return !is_current(c); });
        waiting_limit_ = std::max(waiting_limit_, 2 * waiting_.size());
    }

    void try_collapse(std::int32_t a, std::int32_t b) {
        if (is_seam_[a] || is_seam_[b] || !look_around(a, b)) return;
        if (std::size_t(num_faces_) <= shared_.size() + 2 * is_tetrahedron_) return;  // something must be left
        if (is_tetrahedron_) return remove_tetrahedron(a, b);
        const Vec target = joined(a, b).minimum();
        if (!keeps_faces(a, around_a_, target) || !keeps_faces(b, around_b_, target)) return;
        const bool joins_borders = shared_.size() == 2 && is_open_a_ && is_open_b_;
        if (common_.empty() && !joins_borders) {
            collapse(a, b, target);
        } else {
            collapse_and_cut(a, b, target);
        }
    }

    // Gathers the faces of both; false if no edge joins them or a face would be there twice,
    // but in a tetrahedron: that may go.
    bool look_around(std::int32_t a, std::int32_t b) {
        around_a_.clear(), around_b_.clear(), shared_.clear(), common_.clear(), is_tetrahedron_ = false;
        std::int64_t open_a = 0, open_b = 0;  // around an inner vertex each other one is as often next as previous
        for (std::int32_t corner = first_[a]; corner >= 0; corner = next_[corner]) {
            const Spoke face = spoke(corner);
            open_a += face.next - face.previous;
            (face.next == b || face.previous == b ? shared_ : around_a_).push_back(face);
        }
        for (std::int32_t corner = first_[b]; corner >= 0; corner = next_[corner]) {
            const Spoke face = spoke(corner);
            open_b += face.next - face.previous;
            if (face.next != a && face.previous != a) around_b_.push_back(face);
        }
        is_open_a_ = open_a != 0, is_open_b_ = open_b != 0;
        if (shared_.empty() || around_a_.size() + around_b_.size() > kMaxFan) return false;
        const std::uint32_t of_a = ++search_;
        for (const Spoke& face : around_a_) mark_[face.next] = mark_[face.previous] = of_a;
        for (const Spoke& face : around_b_)
            if (mark_[face.next] == of_a && mark_[face.previous] == of_a && has_face(around_a_, face))
                return is_tetrahedron_ = shared_.size() == 2 && around_a_.size() == 1 && around_b_.size() == 1;
        for (const Spoke& face : shared_) {
            const std::int32_t apex = face.next == b ? face.previous : face.next;
            mark_[apex] = 0;
        }
        for (const Spoke& face : around_b_)
            for (const std::int32_t other : {face.next, face.previous})
                if (mark_[other] == of_a) mark_[other] = 0, common_.push_back(other);
        return true;
    }

    static bool has_face(const std::vector<Spoke>& fan, const Spoke& face) {
        return std::any_of(fan.begin(), fan.end(), [&](const Spoke& other) {
            return (other.next == face.next && other.previous == face.previous) ||
                   (other.next == face.previous && other.previous == face.next);
        });
    }

    bool keeps_faces(std::int32_t moved, const std::vector<Spoke>& fan, const Vec& target) const {
        for (const Spoke& face : fan) {
            const Vec& next = xyz_[face.next];
            const Vec side = xyz_[face.previous] - next, old_side = next - xyz_[moved], new_side = next - target;
            const Vec was = cross(old_side, side), now = cross(new_side, side), last = xyz_[face.previous] - target;
            const double longest = std::max({dot(side, side), dot(new_side, new_side), dot(last, last)});
            const double size = dot(now, now), turn = dot(was, now);
            if (!(size > kMinThickness * kMinThickness * longest * longest)) return false;
            if (!(turn >= 0 && turn * turn >= kMinTurnCos * kMinTurnCos * dot(was, was) * size)) return false;
        }
        return true;
    }

    void collapse(std::int32_t kept, std::int32_t gone, const Vec& target) {
        remove_shared(kept, gone);
        xyz_[kept] = target;
        quadric_[kept].add(quadric_[gone]);
        std::int32_t last = -1;
        for (std::int32_t corner = first_[gone]; corner >= 0; corner = next_[corner]) {
            faces_[corner / 3][corner % 3] = kept;
            last = corner;
        }
        if (last >= 0) next_[last] = first_[kept], first_[kept] = first_[gone];
        first_[gone] = -1;
        ++stamp_[gone];
        propose_again(kept);
    }

    void remove_tetrahedron(std::int32_t a, std::int32_t b) {
        remove_shared(a, b);
        for (const Spoke& face : {around_a_[0], around_b_[0]}) {
            for (const std::int32_t v : Face(faces_[face.corner / 3])) unlink(v, face.corner / 3);
            faces_[face.corner / 3] = {-1, -1, -1};
            --num_faces_;
        }
    }

    void remove_shared(std::int32_t a, std::int32_t b) {
        for (const Spoke& face : shared_) {
            const std::int32_t apex = face.next == b ? face.previous : face.next;
            for (const std::int32_t v : {a, b, apex}) unlink(v, face.corner / 3);
            faces_[face.corner / 3] = {-1, -1, -1};
            --num_faces_;
        }
    }

    // Where two borders meet, or an edge would have more than two faces, the faces of a side go on in those of the other:
    // so a handle's neck is cut, and each fan of faces gets a vertex of its own in the same place.
    void collapse_and_cut(std::int32_t a, std::int32_t b, const Vec& target) {
        const std::size_t num_a = around_a_.size();
        std::vector<Spoke> fan = around_a_;
        fan.insert(fan.end(), around_b_.begin(), around_b_.end());
        const std::vector<int> following = go_on(fan, num_a);
        const std::vector<int> piece = pieces(following);
        std::vector<Split> splits = {{a, fan, piece}};
        for (const std::int32_t x : common_) {
            if (is_seam_[x]) return;
            std::vector<Spoke> spokes;
            for (std::int32_t corner = first_[x]; corner >= 0; corner = next_[corner]) spokes.push_back(spoke(corner));
            if (spokes.size() > kMaxFan) return;
            splits.push_back(split_at(x, std::move(spokes), a, b, fan, following));
            if (!come_apart(x, fan, following, piece, splits.back())) return;
        }
        remove_shared(a, b);
        xyz_[a] = target;
        quadric_[a].add(quadric_[b]);
        first_[b] = -1;
        ++stamp_[b];
        for (const Split& split : splits) first_[split.vertex] = -1;
        std::vector<std::int32_t> changed;
        for (const Split& split : splits) {
            const int count = split.piece.empty() ? 0 : 1 + *std::max_element(split.piece.begin(), split.piece.end());
            std::vector<std::int32_t> own = {split.vertex};
            while (int(own.size()) < count) own.push_back(add_copy(split.vertex));
            for (std::size_t i = 0; i < split.spokes.size(); ++i) {
                const std::int32_t corner = split.spokes[i].corner;
                faces_[corner / 3][corner % 3] = own[split.piece[i]];
                link(corner);
            }
            changed.insert(changed.end(), own.begin(), own.end());
        }
        for (const std::int32_t v : changed) propose_again(v);
    }

    std::int32_t add_copy(std::int32_t v) {
        xyz_.push_back(Vec(xyz_[v]));
        quadric_.push_back(Quadric(quadric_[v]));
        first_.push_back(-1);
        stamp_.push_back(0);
        mark_.push_back(0);
        is_seam_.push_back(0);
        return std::int32_t(xyz_.size()) - 1;
    }
};

}  // namespace

SimpleMesh simplify_mesh(const float* vertices, std::int64_t num_vertices, const std::int32_t* faces, std::int64_t num_faces,
                         const float* importance, std::int64_t max_faces) {
    Simplifier simplifier(vertices, num_vertices, faces, num_faces, importance);
    simplifier.run(max_faces);
    return simplifier.result();
}

}  // namespace handful
