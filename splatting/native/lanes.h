// Eight floats at a time, by GCC/Clang vector types: AVX where there is AVX, two SSE or NEON registers elsewhere.

constexpr int LANES = 8, LOG2_LANES = 3;
typedef float Floats __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * LANES), may_alias));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES), may_alias));

typedef float LooseFloats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t LooseInts __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define INLINE [[gnu::always_inline]] static inline

INLINE Floats all(float value) { return value - Floats{}; }
INLINE Floats iota() { return Floats{0, 1, 2, 3, 4, 5, 6, 7}; }
INLINE Ints iota_ints() { return Ints{0, 1, 2, 3, 4, 5, 6, 7}; }
INLINE Floats load(const float* p) { return *reinterpret_cast<const LooseFloats*>(p); }
INLINE Ints load(const int* p) { return *reinterpret_cast<const LooseInts*>(p); }
INLINE void store(float* p, Floats value) { *reinterpret_cast<LooseFloats*>(p) = value; }
INLINE void store(int* p, Ints value) { *reinterpret_cast<LooseInts*>(p) = value; }
#ifdef __AVX__  // one instruction, which the compiler does not see in the choice below
INLINE Floats larger(Floats a, Floats b) { return __builtin_ia32_maxps256(a, b); }
INLINE Floats smaller(Floats a, Floats b) { return __builtin_ia32_minps256(a, b); }
#else
INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }
INLINE Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
#endif
INLINE Ints larger(Ints a, Ints b) { return a > b ? a : b; }
INLINE Ints smaller(Ints a, Ints b) { return a < b ? a : b; }
INLINE Floats absolute(Floats a) { return (Floats)((Ints)a & 0x7fffffff); }
INLINE Floats minus_absolute(Floats a) { return (Floats)((Ints)a | static_cast<int>(0x80000000)); }
INLINE Ints is_finite(Floats a) { return absolute(a) < 3e38f; }

// Bit i: lane i of a comparison holds.
INLINE uint32_t bits_of(Ints comparison) {
#ifdef __AVX__
  return static_cast<uint32_t>(__builtin_ia32_movmskps256((Floats)comparison));
#else
  Ints bits = comparison & Ints{1, 2, 4, 8, 16, 32, 64, 128};
  uint32_t all_bits = 0;
  for (int i = 0; i < LANES; i++) all_bits |= static_cast<uint32_t>(bits[i]);
  return all_bits;
#endif
}

// For every set of lanes: the lanes of the set, then anything. Shuffling by it brings the set to the front.
struct LaneOrders {
  alignas(4 * LANES) int of[1 << LANES][LANES];
};
constexpr LaneOrders make_lane_orders() {
  LaneOrders orders{};
  for (int set = 0; set < 1 << LANES; set++)
    for (int lane = 0, place = 0; lane < LANES; lane++)
      if (set >> lane & 1) orders.of[set][place++] = lane;
  return orders;
}
constexpr LaneOrders LANE_ORDERS = make_lane_orders();

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

// The eight sums of eight vectors, in the order of `sum`: three rounds of adding halves, in which the vectors merge.
INLINE Floats sums(const Floats v[8]) {
  Floats four[4], two[2];
  for (int i = 0; i < 4; i++)
    four[i] = __builtin_shuffle(v[i], v[i + 4], Ints{0, 1, 2, 3, 8, 9, 10, 11}) +
              __builtin_shuffle(v[i], v[i + 4], Ints{4, 5, 6, 7, 12, 13, 14, 15});
  for (int i = 0; i < 2; i++)  // halves of lanes hold vectors i, i + 4: pairs of lanes now i, i + 2, i + 4, i + 6
    two[i] = __builtin_shuffle(four[i], four[i + 2], Ints{0, 1, 8, 9, 4, 5, 12, 13}) +
             __builtin_shuffle(four[i], four[i + 2], Ints{2, 3, 10, 11, 6, 7, 14, 15});
  return __builtin_shuffle(two[0], two[1], Ints{0, 8, 2, 10, 4, 12, 6, 14}) +
         __builtin_shuffle(two[0], two[1], Ints{1, 9, 3, 11, 5, 13, 7, 15});
}

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
