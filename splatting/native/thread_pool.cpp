// OpenMP waits at the end of every loop for all of its threads, also for one that has not been given a processor since
// the loop began; and while they wait, its threads either spin or, asked to be passive, sleep after every loop. Here
// a loop is over when its parts are: whoever has no processor takes none, and the others do them.
#include "thread_pool.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace handful {
namespace {

// How long a thread looks for more before it sleeps. On two idle cores a frame of 14 loops took 8.4 ms with threads
// that sleep at once, 7.2 ms with 50 us and 7.3 ms with 2 ms; beside other work, 50 us cost no CPU time that could be
// measured and 2 ms a third more.
constexpr std::chrono::microseconds PATIENCE{50};
constexpr int LOOKS_PER_CLOCK = 16;  // so that most of the looking is not at the clock

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Where one thread waits for what others bring about.
class Waiting {
 public:
  // Returns once `holds()`. Whoever makes it hold must call wake() afterwards.
  template <class Condition>
  void until(Condition holds) {
    auto end = std::chrono::steady_clock::now() + PATIENCE;
    do {
      for (int look = 0; look < LOOKS_PER_CLOCK; look++) {
        if (holds()) return;
        pause();
      }
      std::this_thread::yield();  // to the one waited for, should it be queued on this processor
    } while (std::chrono::steady_clock::now() < end);
    std::unique_lock lock(mutex_);
    for (is_asleep_ = true; !holds(); is_asleep_ = true) wake_.wait(lock);
    is_asleep_ = false;
  }

  // Either the sleeper's last look sees what was done before this call, or this call sees the sleeper.
  void wake() {
    if (!is_asleep_ || !is_asleep_.exchange(false)) return;
    { std::lock_guard lock(mutex_); }  // not between its look and its sleep
    wake_.notify_one();
  }

 private:
  std::atomic<bool> is_asleep_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
};

using Work = void (*)(void* context, int part);

class Pool {
 public:
  // Returns false, with nothing done, where the pool is taken.
  bool run(int parts, int threads, Work work, void* context) {
    if (is_taken_.exchange(true)) return false;
    add_workers((threads < parts ? threads : parts) - 1);
    publish(parts, threads, work, context);
    for (int i = 0; i + 1 < threads && i < static_cast<int>(workers_.size()); i++) workers_[i]->wake();
    do_parts(0);
    caller_.until([this] { return unfinished_ == 0; });
    std::exception_ptr failure;
    if (has_failed_.exchange(false)) failure.swap(failure_);
    is_taken_ = false;
    if (failure) std::rethrow_exception(failure);
    return true;
  }

 private:
  // Where the system has no more threads, there are fewer.
  void add_workers(int wanted) {
    while (static_cast<int>(workers_.size()) < wanted) {
      auto waiting = std::make_unique<Waiting>();
      int number = static_cast<int>(workers_.size()) + 1;
      try {
        std::thread(&Pool::serve, this, number, waiting.get()).detach();
      } catch (const std::system_error&) {
        return;
      }
      workers_.push_back(std::move(waiting));
    }
  }

  // Until the new ticket is there, the old one has no parts left, so that nobody acts on a mixture.
  void publish(int parts, int threads, Work work, void* context) {
    work_ = work, context_ = context, parts_ = parts, threads_ = threads, unfinished_ = parts;
    ticket_ = ((ticket_ >> 32) + 1) << 32 | static_cast<uint32_t>(parts);
  }

  void serve(int number, Waiting* waiting) {
    for (;;) {
      waiting->until([this, number] { return static_cast<uint32_t>(ticket_) > 0 && number < threads_; });
      do_parts(number);
    }
  }

  // Parts are there until all that were claimed are done: a thread that has claimed one may look at the loop until it
  // says so, a thread that has claimed none may not. It knows by its ticket still being the one.
  void do_parts(int number) {
    int done = 0;
    uint64_t ticket = ticket_;
    while (uint32_t left = static_cast<uint32_t>(ticket)) {
      Work work = work_;
      void* context = context_;
      int part = parts_ - static_cast<int>(left);
      if (number >= threads_) break;
      if (!ticket_.compare_exchange_weak(ticket, ticket - 1)) continue;
      do_part(work, context, part);
      done++;
      ticket = ticket_;
    }
    if (done > 0 && unfinished_.fetch_sub(done) == done) caller_.wake();
  }

  void do_part(Work work, void* context, int part) {
    if (has_failed_) return;
    try {
      work(context, part);
    } catch (...) {
      if (!has_failed_.exchange(true)) failure_ = std::current_exception();
    }
  }

  std::atomic<bool> is_taken_ = false;
  std::vector<std::unique_ptr<Waiting>> workers_;
  Waiting caller_;

  // The loop. All atomic: a late thread may read them while the next loop is being written, and then drops them.
  std::atomic<Work> work_ = nullptr;
  std::atomic<void*> context_ = nullptr;
  std::atomic<int> parts_ = 0, threads_ = 0;
  std::atomic<bool> has_failed_ = false;
  std::exception_ptr failure_;
  alignas(64) std::atomic<uint64_t> ticket_ = 0;  // number of the loop << 32 | parts that nobody has claimed
  alignas(64) std::atomic<int> unfinished_ = 0;
};

// Never destroyed: its threads may outlive everything static.
std::atomic<Pool*> instance = nullptr;

// A child process has none of the threads and must not touch the locks they held.
void forget_pool() { instance = nullptr; }
[[maybe_unused]] const int is_registered = pthread_atfork(nullptr, nullptr, forget_pool);

Pool& pool() {
  Pool* current = instance;
  if (current) return *current;
  auto fresh = std::make_unique<Pool>();
  if (instance.compare_exchange_strong(current, fresh.get())) return *fresh.release();
  return *current;
}

}  // namespace

void run_parts(int parts, int threads, Work work, void* context) {
  if (threads > 1 && parts > 1 && pool().run(parts, threads, work, context)) return;
  for (int part = 0; part < parts; part++) work(context, part);
}

}  // namespace handful
