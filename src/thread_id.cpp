#include "thread_id.hpp"

#include <atomic>

namespace multiproc {

thread_local ThreadId::Cached ThreadId::cached_{};

std::uint64_t ThreadId::make() {
    static std::atomic<std::uint32_t> threads{0};
    const Runtime::ProcessRef process = Runtime::get().self_ref();
    const std::uint64_t number = threads.fetch_add(1, std::memory_order_relaxed) % 0x7fffffff + 1;
    cached_ = {os::current_pid(), number << 32 | process.pack_short()};
    return cached_.word;
}

}  // namespace multiproc
