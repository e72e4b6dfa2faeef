#include "exit_handlers.hpp"

#include <atomic>
#include <cstdlib>

#include <multiproc/freeze_support.hpp>

namespace multiproc {
namespace {

std::atomic<detail::AtExit> at_exit_of_program{nullptr};

}  // namespace

void add_exit_handler(void (*handler)()) {
    const detail::AtExit known = at_exit_of_program.load(std::memory_order_acquire);
    if (known == nullptr) {
        std::atexit(handler);
    } else {
        known(handler);
    }
}

void detail::use_exit_handlers(AtExit at_exit) noexcept {
    AtExit none = nullptr;
    at_exit_of_program.compare_exchange_strong(none, at_exit, std::memory_order_acq_rel);
}

}  // namespace multiproc
