// Threads that share out the parts of a loop. For why not OpenMP see thread_pool.cpp.
#pragma once

namespace handful {

// Calls work(context, part) once for every part in [0, parts), in any order, in the calling thread and at most
// threads - 1 others, and returns when all are done. What the parts have written is then visible to the caller.
//
// The first exception that leaves `work` reaches the caller, when no part is running any more; parts not yet begun are
// then left out. May be called from several threads at once and from inside `work`: while the pool is taken, a caller
// does all its parts itself. Starts no thread where threads or parts are 1.
void run_parts(int parts, int threads, void (*work)(void* context, int part), void* context);

}  // namespace handful
