#include "parking.hpp"

#include <cerrno>
#include <ctime>

#include "../os.hpp"
#include "../per_process.hpp"
#include "platform.hpp"

#if MULTIPROC_LINUX_CALLS
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#else
#include <dlfcn.h>

#include <algorithm>
#endif

namespace multiproc::os {

namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == 4 && std::atomic<std::uint32_t>::is_always_lock_free);

void* address_of(const std::atomic<std::uint32_t>& word) noexcept {
    return const_cast<void*>(static_cast<const void*>(&word));
}

#if MULTIPROC_LINUX_CALLS

// The word lies in shared memory, so these are not FUTEX_PRIVATE: the kernel finds the waiters of every mapping of it.
bool wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Deadline deadline) noexcept {
    timespec until{};
    if (deadline != never) {
        // An absolute time on the clock of std::chrono::steady_clock (CLOCK_MONOTONIC): an interrupted wait that the
        // caller repeats cannot drift. Times before the clock's start are as good as its start.
        const auto since_start = std::max<std::chrono::nanoseconds>(deadline.time_since_epoch(), {});
        until.tv_sec = static_cast<time_t>(since_start.count() / 1'000'000'000);
        until.tv_nsec = static_cast<long>(since_start.count() % 1'000'000'000);
    }
    const long result = ::syscall(SYS_futex, address_of(word), FUTEX_WAIT_BITSET, expected,
                                  deadline == never ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
    return !(result == -1 && errno == ETIMEDOUT);  // woken, changed before (EAGAIN), or interrupted (EINTR)
}

void wake_one(const std::atomic<std::uint32_t>& word) noexcept {
    ::syscall(SYS_futex, address_of(word), FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

#else

// Apple's calls of macOS 14.4 (os/os_sync_wait_on_address.h), looked up because the program may run on an older one.
constexpr std::uint32_t shared_between_processes = 1;  // OS_SYNC_WAIT_ON_ADDRESS_SHARED, OS_SYNC_WAKE_BY_ADDRESS_SHARED
constexpr std::uint32_t mach_absolute_time = 32;       // OS_CLOCK_MACH_ABSOLUTE_TIME
using Wait = int (*)(void* address, std::uint64_t value, std::size_t size, std::uint32_t flags);
using WaitFor = int (*)(void* address, std::uint64_t value, std::size_t size, std::uint32_t flags, std::uint32_t clock,
                        std::uint64_t nanoseconds);
using WakeAny = int (*)(void* address, std::size_t size, std::uint32_t flags);

struct KernelCalls {
    Wait wait = reinterpret_cast<Wait>(::dlsym(RTLD_DEFAULT, "os_sync_wait_on_address"));
    WaitFor wait_for = reinterpret_cast<WaitFor>(::dlsym(RTLD_DEFAULT, "os_sync_wait_on_address_with_timeout"));
    WakeAny wake_any = reinterpret_cast<WakeAny>(::dlsym(RTLD_DEFAULT, "os_sync_wake_by_address_any"));
    bool complete = wait != nullptr && wait_for != nullptr && wake_any != nullptr;
};

const KernelCalls& kernel() { return of_this_program<KernelCalls>(); }

std::atomic<bool> polling_is_forced{false};

bool uses_kernel() noexcept { return kernel().complete && !polling_is_forced.load(std::memory_order_relaxed); }

// Looks at the word in growing intervals. Nobody wakes such a waiter, so the longest interval bounds how late it is.
bool poll_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Deadline deadline) noexcept {
    constexpr std::chrono::nanoseconds longest = std::chrono::milliseconds(2);
    std::chrono::nanoseconds interval = std::chrono::microseconds(20);
    for (;;) {
        if (word.load(std::memory_order_acquire) != expected) return true;
        std::chrono::nanoseconds sleep = interval;
        if (deadline != never) {
            const auto left = deadline - Clock::now();
            if (left <= left.zero()) return false;
            sleep = std::min<std::chrono::nanoseconds>(sleep, left);
        }
        const timespec pause{0, static_cast<long>(sleep.count())};
        ::nanosleep(&pause, nullptr);
        interval = std::min(interval * 3 / 2, longest);
    }
}

bool wait_for_change(const std::atomic<std::uint32_t>& word, std::uint32_t expected, Deadline deadline) noexcept {
    if (!uses_kernel()) return poll_for_change(word, expected, deadline);
    void* const address = address_of(word);
    if (deadline == never) {
        const int result = kernel().wait(address, expected, sizeof word, shared_between_processes);
        return result >= 0 || errno == EINTR || poll_for_change(word, expected, deadline);
    }
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()).count();
    if (left <= 0) return word.load(std::memory_order_acquire) != expected;  // a time of 0 is refused as invalid
    const int result = kernel().wait_for(address, expected, sizeof word, shared_between_processes, mach_absolute_time,
                                         static_cast<std::uint64_t>(left));
    if (result >= 0 || errno == EINTR) return true;
    // Out of memory or a page that is not there (EFAULT) ends in polling, never in a busy loop of the caller.
    return errno == ETIMEDOUT ? false : poll_for_change(word, expected, deadline);
}

void wake_one(const std::atomic<std::uint32_t>& word) noexcept {
    if (uses_kernel()) kernel().wake_any(address_of(word), sizeof word, shared_between_processes);
}

#endif

// The kernel, or the eyes of the waiter, find the word itself; there is no table and so nothing to inherit.
class WordParkingLot final : public ParkingLot {
public:
    std::vector<RawHandle> handles() const override { return {}; }

    bool park(std::size_t, const std::atomic<std::uint32_t>& word, std::uint32_t expected,
              Deadline deadline) noexcept override {
        return wait_for_change(word, expected, deadline);
    }

    void unpark(std::size_t, const std::atomic<std::uint32_t>& word) noexcept override { wake_one(word); }
};

}  // namespace

#if MULTIPROC_LINUX_CALLS
void posix::poll_while_parked(bool) noexcept {}
bool posix::parks_in_kernel() noexcept { return true; }
#else
void posix::poll_while_parked(bool poll) noexcept { polling_is_forced = poll; }
bool posix::parks_in_kernel() noexcept { return uses_kernel(); }
#endif

std::unique_ptr<ParkingLot> ParkingLot::create() { return std::make_unique<WordParkingLot>(); }

std::unique_ptr<ParkingLot> ParkingLot::adopt(std::vector<Handle>) { return std::make_unique<WordParkingLot>(); }

void relax_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ __volatile__("yield");
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

void expect_to_write(const void* byte) noexcept {
#if defined(__x86_64__)
    // What __builtin_prefetch makes of it for every x86-64 only has the line read, and to write it then takes another
    // round. Processors that do not know this one take it for nothing.
    __asm__ __volatile__("prefetchw %0" : : "m"(*static_cast<const char*>(byte)));
#else
    __builtin_prefetch(byte, 1);
#endif
}

}  // namespace multiproc::os
