// One target as a program of libFuzzer's. Besides what the sanitizers find, no case may allocate much more at once than
// it has bytes itself: libFuzzer's own -malloc_limit_mb is too coarse for that.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <atomic>

#include <multiproc/freeze_support.hpp>

#include "target.hpp"

extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*, std::size_t),
                                                         void (*free_hook)(const volatile void*));

namespace {

// What the library has for itself whatever a message says: buffers of 64 KiB to read ahead, 256 KiB for the first piece
// of a message from the network; and values may be larger in memory than in a message.
constexpr std::size_t own_memory = std::size_t{512} << 10;
constexpr std::size_t most_per_byte = 512;

std::atomic<std::size_t> limit{SIZE_MAX};

void on_malloc(const volatile void*, std::size_t size) {
    if (size <= limit.load(std::memory_order_relaxed)) return;
    limit = SIZE_MAX;
    std::fprintf(stderr, "broken promise: %zu bytes are allocated at once, far more than the message has\n", size);
    std::abort();
}
void on_free(const volatile void*) {}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    multiproc::freeze_support();
    __sanitizer_install_malloc_and_free_hooks(&on_malloc, &on_free);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    limit = own_memory + most_per_byte * size;
    multiproc::fuzz::Target::all().front()->run(std::as_bytes(std::span(data, size)));
    limit = SIZE_MAX;
    return 0;
}
