// Eight floats at a time, by GCC/Clang vector types: AVX where there is AVX, two SSE or NEON registers elsewhere.

constexpr int LANES = 8, LOG2_LANES = 3;
typedef float Floats __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * LANES), may_alias));

#define INLINE [[gnu::always_inline]] static inline

INLINE Floats all(float value) { return value - Floats{}; }
INLINE Floats iota() { return Floats{0, 1, 2, 3, 4, 5, 6, 7}; }
INLINE Floats load(const float* aligned) { return *reinterpret_cast<const Floats*>(aligned); }
INLINE void store(float* aligned, Floats value) { *reinterpret_cast<Floats*>(aligned) = value; }
INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }
INLINE Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
INLINE Floats absolute(Floats a) { return (Floats)((Ints)a & 0x7fffffff); }
INLINE Ints is_finite(Floats a) { return absolute(a) < 3e38f; }

INLINE Floats square_root(Floats a) {
  Floats root;
  for (int i = 0; i < LANES; i++) root[i] = __builtin_sqrtf(a[i]);
  return root;
}

INLINE Floats gather(const float* base, const int* rows, int stride) {
  Floats values;
  for (int i = 0; i < LANES; i++) values[i] = base[static_cast<size_t>(rows[i]) * stride];
  return values;
}

// Always in the same order, whatever the instruction set.
INLINE float sum(Floats a) { return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7])); }

// 2^q for q in [-126, 0], relative error below 2e-7: whole powers through the exponent bits, the rest in [-1, 0] by
// the minimax polynomial of degree 5 (relative error 5.2e-8, found by linear programming on 4,001 Chebyshev nodes).
INLINE Floats exp2_of_negative(Floats q) {
  Ints whole = __builtin_convertvector(q, Ints);  // towards zero
  Floats f = q - __builtin_convertvector(whole, Floats);
  Floats p = f * 9.355645518e-4f + 9.178826919e-3f;
  p = p * f + 5.526907346e-2f;
  p = p * f + 2.401674031e-1f;
  p = p * f + 6.931415657e-1f;
  p = p * f + 9.999999477e-1f;
  return (Floats)((Ints)p + (whole << 23));
}

INLINE float clamp(float value, float low, float high) { return value < low ? low : (value > high ? high : value); }

// Part `part` of `parts` of [0, count): the same split for every pass over the same items.
struct Range {
  int begin, end;
};
INLINE Range chunk(int count, int part, int parts) {
  return {static_cast<int>(static_cast<int64_t>(count) * part / parts),
          static_cast<int>(static_cast<int64_t>(count) * (part + 1) / parts)};
}
