#include "faults.hpp"

#include <cstdint>
#include <cstdlib>
#include <new>

#include "ledger.hpp"

namespace chaos::faults {
namespace {

thread_local int depth = 0;
thread_local std::uint64_t state = 0;

bool strikes(const std::atomic<std::uint32_t>& per_million, std::atomic<std::uint64_t>& count) noexcept {
    if (depth == 0) return false;
    const std::uint32_t rate = per_million.load(std::memory_order_relaxed);
    if (rate == 0) return false;
    if (state == 0) state = reinterpret_cast<std::uintptr_t>(&state) | 1;  // differs between processes and threads
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if ((state >> 20) % 1'000'000 >= rate) return false;
    count.fetch_add(1);
    return true;
}

}  // namespace

Scope::Scope() noexcept { ++depth; }
Scope::~Scope() { --depth; }
Pause::Pause() noexcept : depth_(depth) { depth = 0; }
Pause::~Pause() { depth = depth_; }

bool allocation_fails() noexcept { return strikes(ledger().allocation_faults, ledger().failed_allocations); }
bool call_fails() noexcept { return strikes(ledger().call_faults, ledger().failed_calls); }

}  // namespace chaos::faults

// The other forms of new come to this one. Memory of a stricter alignment keeps the library's own.
void* operator new(std::size_t size) {
    if (!chaos::faults::allocation_fails())
        if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
