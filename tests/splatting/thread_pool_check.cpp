// Checks of the thread pool that Python cannot make; the first that fails ends the program with its claim.
// Compiled and run by test_thread_pool.py, and by .ci/sanitize under the thread sanitizer.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../../splatting/native/thread_pool.h"

namespace {

template <class Work>
void loop(int parts, int threads, Work work) {
  handful::run_parts(parts, threads, [](void* context, int part) { (*static_cast<Work*>(context))(part); }, &work);
}

void check(bool holds, const char* claim) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", claim);
  std::_Exit(1);
}

// Long enough for others to take part.
void work_for(std::chrono::microseconds time) {
  for (auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {}
}

// Not atomic: the thread sanitizer finds a part done twice at once, or not yet visible.
bool does_every_part_once(int parts, int threads, int seed) {
  std::vector<int> done(parts);
  loop(parts, threads, [&](int part) {
    if ((seed + part) % 16 == 0) work_for(std::chrono::microseconds(20));
    done[part] += seed + part;
  });
  for (int part = 0; part < parts; part++)
    if (done[part] != seed + part) return false;
  return true;
}

int num_threads_of_process() {  // 0 where the system does not say
  int count = 0;
  std::error_code error;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) count++;
  return count;
}

void no_thread_is_started_without_need() {
  int before = num_threads_of_process();
  check(does_every_part_once(100, 1, 0) && does_every_part_once(1, 8, 0) && does_every_part_once(0, 8, 0), "alone");
  check(num_threads_of_process() == before, "no thread is started for one thread, one part or none");
  check(does_every_part_once(100, 3, 0), "with two more");
  check(before == 0 || num_threads_of_process() >= before + 2, "two threads are started for three");
  check(does_every_part_once(100, 9, 0), "with eight more");
}

// Sleeping leaves the processor to the others, however few there are.
void a_loop_is_over_when_all_parts_are() {
  for (int i = 0; i < 20; i++) {
    std::atomic<int> done = 0;
    loop(4, 4, [&](int) { std::this_thread::sleep_for(std::chrono::milliseconds(1)), done++; });
    check(done == 4, "a loop is over when all parts are done");
  }
}

void threads_share_the_parts() {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  for (int i = 0; i < 20; i++) {
    loop(50, 9, [](int) { work_for(std::chrono::microseconds(20)); });  // now more look for work
    loop(9, 3, [&](int) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
    });
  }
  check(seen.size() == 3, "as many threads take part as are asked for, also where the pool has more");
}

// Loops that follow at once, after the spinning and after the workers have gone to sleep; on the stack in between lies
// what late workers must not touch.
void every_part_is_done_once() {
  for (int seed = 0; seed < 300; seed++) {
    check(does_every_part_once(1 + seed % 67, 1 + seed % 9, seed), "every part is done once");
    if (seed % 30 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (seed % 10 == 0) std::this_thread::sleep_for(std::chrono::microseconds(60));
  }
}

void callers_do_not_disturb_each_other() {
  std::atomic<int> good = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; caller++)
    callers.emplace_back([&good, caller] {
      for (int i = 0; i < 50; i++) good += does_every_part_once(1 + i % 31, 3, 1000 * caller + i);
    });
  for (std::thread& caller : callers) caller.join();
  check(good == 200, "several threads may call at once");
}

void loops_may_be_nested() {
  std::atomic<int> good = 0;
  loop(20, 3, [&](int part) { good += does_every_part_once(10, 3, part); });
  check(good == 20, "a loop inside a part does its own parts");
}

void an_exception_reaches_the_caller() {
  for (int i = 0; i < 50; i++) {
    std::atomic<int> running = 0;
    bool is_caught = false;
    try {
      loop(50, 3, [&](int part) {
        running++;
        std::vector<int> some(100, part);
        if (part == i % 50) running--, throw std::bad_alloc();
        running--;
      });
    } catch (const std::bad_alloc&) {
      is_caught = true;
    }
    check(is_caught, "std::bad_alloc reaches the caller");
    check(running == 0, "no part runs when an exception reaches the caller");
    check(does_every_part_once(50, 3, i), "the next loop is whole");
  }
}

void a_forked_child_has_a_pool_of_its_own() {
  std::atomic<bool> is_over = false;
  std::thread other([&] {
    while (!is_over) does_every_part_once(40, 3, 7);
  });
  for (int i = 0; i < 5; i++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(20);
      bool is_good = does_every_part_once(100, 3, i) && does_every_part_once(100, 3, i + 1);
      int threads = num_threads_of_process();  // one, or with those of the pool three
      std::_Exit(is_good && (threads == 0 || threads == 3) ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    check(status == 0, "a child forked while a loop runs can run its own");
  }
  is_over = true;
  other.join();
}

}  // namespace

int main(int count, char** arguments) {
  no_thread_is_started_without_need();
  a_loop_is_over_when_all_parts_are();
  threads_share_the_parts();
  every_part_is_done_once();
  callers_do_not_disturb_each_other();
  loops_may_be_nested();
  an_exception_reaches_the_caller();
  // The thread sanitizer cannot follow new threads in a child of a process with several.
  if (count < 2 || std::string(arguments[1]) != "--no-fork") a_forked_child_has_a_pool_of_its_own();
}
