// The watch over a child on its way to freeze_support.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "../os.hpp"

namespace multiproc::os {

namespace {

struct Guard {
    std::mutex mutex;
    std::condition_variable changed;
    bool waiting = true;
    std::thread timer;
};
Guard* guard = nullptr;  // only the first thread of the process looks at it

}  // namespace

void begin_arrival_watch(std::chrono::seconds limit, void (*late)() noexcept) {
    auto fresh = std::make_unique<Guard>();
    fresh->timer = std::thread([self = fresh.get(), limit, late] {
        std::unique_lock lock(self->mutex);
        if (!self->changed.wait_for(lock, limit, [self] { return !self->waiting; })) late();
    });
    guard = fresh.release();
}

void end_arrival_watch() noexcept {
    const std::unique_ptr<Guard> standing(std::exchange(guard, nullptr));
    if (!standing) return;
    {
        const std::lock_guard lock(standing->mutex);
        standing->waiting = false;
    }
    standing->changed.notify_all();
    standing->timer.join();
}

}  // namespace multiproc::os
