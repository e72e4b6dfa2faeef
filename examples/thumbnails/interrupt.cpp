#include "interrupt.hpp"

#include <atomic>
#include <csignal>

namespace thumbnails {
namespace {

// POSIX runs the handler on top of any thread, Windows in a thread of its own: a lock-free atomic is right for both.
std::atomic<bool> was_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int /*signal*/) {
    was_interrupted.store(true);
    std::signal(SIGINT, SIG_DFL);
}

}  // namespace

void watch_for_interrupt() { std::signal(SIGINT, on_interrupt); }

bool interrupted() noexcept { return was_interrupted.load(); }

}  // namespace thumbnails
