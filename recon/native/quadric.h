// Vectors and the quadric error of Garland & Heckbert.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

namespace handful {

using Vec = std::array<double, 3>;

inline Vec operator-(const Vec& a, const Vec& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
inline Vec operator+(const Vec& a, const Vec& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
inline Vec operator*(double s, const Vec& a) { return {s * a[0], s * a[1], s * a[2]}; }
inline double dot(const Vec& a, const Vec& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline Vec cross(const Vec& a, const Vec& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
inline double length(const Vec& a) { return std::sqrt(dot(a, a)); }

// Weighted squared distance to planes, p^T A p + 2 b^T p + c; A by its upper triangle.
struct Quadric {
    double xx = 0, xy = 0, xz = 0, yy = 0, yz = 0, zz = 0;
    Vec b = {0, 0, 0};
    double c = 0;

    // The plane n p + d = 0.
    void add_plane(const Vec& n, double d, double weight) {
        xx += weight * n[0] * n[0], xy += weight * n[0] * n[1], xz += weight * n[0] * n[2];
        yy += weight * n[1] * n[1], yz += weight * n[1] * n[2], zz += weight * n[2] * n[2];
        b = b + (weight * d) * n;
        c += weight * d * d;
    }

    void add_point(const Vec& p, double weight) {
        xx += weight, yy += weight, zz += weight;
        b = b - weight * p;
        c += weight * dot(p, p);
    }

    void add(const Quadric& o) {
        xx += o.xx, xy += o.xy, xz += o.xz, yy += o.yy, yz += o.yz, zz += o.zz;
        b = b + o.b;
        c += o.c;
    }

    double trace() const { return xx + yy + zz; }

    double at(const Vec& p) const {
        const Vec Ap = {xx * p[0] + xy * p[1] + xz * p[2], xy * p[0] + yy * p[1] + yz * p[2],
                        xz * p[0] + yz * p[1] + zz * p[2]};
        return std::max(0.0, dot(p, Ap) + 2 * dot(b, p) + c);
    }

    // Where the distance is least; the quadric must be definite.
    Vec minimum() const {
        const Vec row0 = {xx, xy, xz}, row1 = {xy, yy, yz}, row2 = {xz, yz, zz};
        const Vec c0 = cross(row1, row2), c1 = cross(row2, row0), c2 = cross(row0, row1);
        return (-1 / dot(row0, c0)) * (b[0] * c0 + (b[1] * c1 + b[2] * c2));
    }
};

}  // namespace handful
