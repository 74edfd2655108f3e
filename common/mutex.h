// Mutexes whose rules clang checks (-Wthread-safety, a step of scripts/check): a member says which mutex guards it, a
// function says which mutex its caller holds. They wrap the standard library's mutexes at no extra cost.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

// The attributes of clang's analysis; other compilers see nothing.
#if defined(__clang__)
#define OUTBOXD_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define OUTBOXD_THREAD_ANNOTATION(x)
#endif

// On a member: read and written only while `x` is held. On a pointer, PT_: what it points to.
#define OUTBOXD_GUARDED_BY(x) OUTBOXD_THREAD_ANNOTATION(guarded_by(x))
#define OUTBOXD_PT_GUARDED_BY(x) OUTBOXD_THREAD_ANNOTATION(pt_guarded_by(x))
// On a function, or on a lambda after its parameters: the caller holds these (EXCLUDES: holds none of these).
#define OUTBOXD_REQUIRES(...) OUTBOXD_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define OUTBOXD_REQUIRES_SHARED(...) OUTBOXD_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
#define OUTBOXD_EXCLUDES(...) OUTBOXD_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
// On a function that acquires or releases a mutex which stays so when it returns.
#define OUTBOXD_ACQUIRE(...) OUTBOXD_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define OUTBOXD_ACQUIRE_SHARED(...) OUTBOXD_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define OUTBOXD_TRY_ACQUIRE(...) OUTBOXD_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define OUTBOXD_RELEASE(...) OUTBOXD_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define OUTBOXD_RELEASE_SHARED(...) OUTBOXD_THREAD_ANNOTATION(release_shared_capability(__VA_ARGS__))
#define OUTBOXD_RELEASE_GENERIC(...) OUTBOXD_THREAD_ANNOTATION(release_generic_capability(__VA_ARGS__))
// On a class: it is a mutex, or it holds one throughout its lifetime.
#define OUTBOXD_CAPABILITY(x) OUTBOXD_THREAD_ANNOTATION(capability(x))
#define OUTBOXD_SCOPED_CAPABILITY OUTBOXD_THREAD_ANNOTATION(scoped_lockable)
// On a function that keeps the rules in a way the analysis cannot follow; a comment beside it says how.
#define OUTBOXD_NO_THREAD_SAFETY_ANALYSIS OUTBOXD_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace outboxd {

// An exclusive lock.
class OUTBOXD_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  // Waits until no other thread holds it. Deadlocks if this thread does.
  void lock() OUTBOXD_ACQUIRE() { mutex_.lock(); }
  // Never waits. Returns whether this thread holds it now.
  bool try_lock() OUTBOXD_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  // REQUIRES: this thread holds it.
  void unlock() OUTBOXD_RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// A lock that many readers or one writer hold.
class OUTBOXD_CAPABILITY("shared_mutex") SharedMutex {
 public:
  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  // Wait until no thread (lock) or no writer (lock_shared) holds it. They deadlock if this thread already holds it in
  // either way.
  void lock() OUTBOXD_ACQUIRE() { mutex_.lock(); }
  void lock_shared() OUTBOXD_ACQUIRE_SHARED() { mutex_.lock_shared(); }
  // Never waits. Returns whether this thread is the writer now.
  bool try_lock() OUTBOXD_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  // REQUIRES: this thread holds it in that way.
  void unlock() OUTBOXD_RELEASE() { mutex_.unlock(); }
  void unlock_shared() OUTBOXD_RELEASE_SHARED() { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

// Holds a Mutex, or a SharedMutex as its writer, for its lifetime; unlock() and lock() release and retake it in
// between.
template <class M>
class OUTBOXD_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(M& mutex) OUTBOXD_ACQUIRE(mutex) : lock_(mutex) {}
  ~MutexLock() OUTBOXD_RELEASE() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void lock() OUTBOXD_ACQUIRE() { lock_.lock(); }
  void unlock() OUTBOXD_RELEASE() { lock_.unlock(); }

 private:
  std::unique_lock<M> lock_;
};

// Holds a SharedMutex as one of its readers for its lifetime.
class OUTBOXD_SCOPED_CAPABILITY SharedLock {
 public:
  explicit SharedLock(SharedMutex& mutex) OUTBOXD_ACQUIRE_SHARED(mutex) : lock_(mutex) {}
  ~SharedLock() OUTBOXD_RELEASE_GENERIC() = default;
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

 private:
  std::shared_lock<SharedMutex> lock_;
};

// Threads sleep on it until another thread changes what a Mutex guards. A wait may end spuriously, so it belongs in a
// loop: `while (!ready_) changed_.wait(mutex_);`. There is no overload with a predicate, because a lambda would have to
// repeat which mutex it needs.
class CondVar {
 public:
  // REQUIRES: this thread holds `mutex`. Releases it while asleep and holds it again on return.
  void wait(Mutex& mutex) OUTBOXD_REQUIRES(mutex) {
    Adopted lock(mutex);
    condition_.wait(lock.lock);
  }
  // The same, but gives up after a while; std::cv_status::timeout says so.
  template <class Rep, class Period>
  std::cv_status wait_for(Mutex& mutex, std::chrono::duration<Rep, Period> at_most) OUTBOXD_REQUIRES(mutex) {
    Adopted lock(mutex);
    return condition_.wait_for(lock.lock, at_most);
  }
  template <class Clock, class Duration>
  std::cv_status wait_until(Mutex& mutex, std::chrono::time_point<Clock, Duration> deadline)
      OUTBOXD_REQUIRES(mutex) {
    Adopted lock(mutex);
    return condition_.wait_until(lock.lock, deadline);
  }

  // Wake one of the sleeping threads, or all. The caller need not hold the mutex.
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  // Lends the mutex that the caller holds to a std::condition_variable, and leaves it locked.
  struct Adopted {
    explicit Adopted(Mutex& mutex) : lock(mutex.mutex_, std::adopt_lock) {}
    ~Adopted() { lock.release(); }
    Adopted(const Adopted&) = delete;
    Adopted& operator=(const Adopted&) = delete;
    std::unique_lock<std::mutex> lock;
  };

  std::condition_variable condition_;
};

}  // namespace outboxd
