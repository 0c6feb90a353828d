// Loops over the thread pool.

// Calls work(part) once for every part in [0, parts); see run_parts.
template <class Work>
INLINE void for_each_part(int parts, int threads, const Work& work) {
  run_parts(parts, threads, [](void* context, int part) { (*static_cast<const Work*>(context))(part); },
            const_cast<Work*>(&work));
}

// Gaussians in a part of a loop over them: about 20 us of work, with the same boundaries for any number of threads.
constexpr int ROWS_PER_PART = 512;

// Calls work(first, end) for pieces of all rows in [0, count).
template <class Work>
INLINE void for_each_piece(int count, int threads, const Work& work) {
  for_each_part((count + ROWS_PER_PART - 1) / ROWS_PER_PART, threads, [&](int part) {
    int first = part * ROWS_PER_PART;
    work(first, count - first < ROWS_PER_PART ? count : first + ROWS_PER_PART);
  });
}
