#include "worker_limits.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <utility>

#include "os.hpp"
#include "runtime.hpp"

namespace multiproc {
namespace {

std::atomic<std::uint32_t> share{0};
std::atomic<std::uint32_t> given{0};  // the variables that were set here: a bit each, in the order of `thread_pools`

// A library that is loaded later reads its variable then. One that is loaded already has read it, and is told by its
// function.
struct ThreadPool {
    const char* variable;
    const char* function;
};
constexpr ThreadPool thread_pools[] = {
    {"OMP_NUM_THREADS", "omp_set_num_threads"},
    {"OPENBLAS_NUM_THREADS", "openblas_set_num_threads"},
    {"MKL_NUM_THREADS", "MKL_Set_Num_Threads"},
    {"BLIS_NUM_THREADS", nullptr},
    {"VECLIB_MAXIMUM_THREADS", nullptr},
    {"NUMEXPR_NUM_THREADS", nullptr},
    {"TBB_NUM_THREADS", nullptr},
};

}  // namespace

std::size_t processor_share(std::size_t all) {
    const std::size_t mine = share.load(std::memory_order_relaxed);
    return mine == 0 ? all : std::min(mine, all);
}

std::uint32_t given_thread_variables() {
    const std::string mine = std::to_string(share.load(std::memory_order_relaxed));
    const std::uint32_t set = given.load(std::memory_order_relaxed);
    std::uint32_t still = 0;
    std::uint32_t bit = 1;
    for (const ThreadPool& pool : thread_pools) {
        const char* const value = (set & bit) != 0 ? std::getenv(pool.variable) : nullptr;
        if (value != nullptr && mine == value) still |= bit;
        bit <<= 1;
    }
    return still;
}

void apply_worker_limits(std::uint32_t threads, std::uint32_t inherited, std::uint64_t memory, bool is_confined) {
    if (threads != 0) {
        share.store(threads, std::memory_order_relaxed);
        std::uint32_t set = 0;
        std::uint32_t bit = 1;
        for (const ThreadPool& pool : thread_pools) {
            const std::uint32_t mine = std::exchange(bit, bit << 1);
            if (std::getenv(pool.variable) != nullptr && (inherited & mine) == 0) continue;
            set |= mine;
            os::set_variable(pool.variable, std::to_string(threads));
            if (pool.function == nullptr) continue;
            if (void* const function = os::find_function(pool.function))
                reinterpret_cast<void (*)(int)>(function)(static_cast<int>(threads));
        }
        given.store(set, std::memory_order_relaxed);
    }
    if (memory == 0) return;
    if (is_confined) return os::limit_memory(memory);
    Runtime::get().arena();  // while it can be mapped
    os::limit_memory(memory, Arena::size);
}

}  // namespace multiproc
