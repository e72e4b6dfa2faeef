#include <multiproc/detail/completions.hpp>

#include <stdexcept>

#include "completion_queue.hpp"
#include "deadline.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {

struct Completions::State {
    State(std::vector<CallHandle> given, os::Deadline end)
        : calls(std::move(given)),
          queue(std::make_shared<CompletionQueue>(calls.size())),
          deadline(end),
          left(calls.size()) {}
    // A program may ask again and again about a task that takes long: nothing must pile up there.
    ~State() {
        for (const CallHandle& call : calls)
            if (!call.ready()) call.call()->engine().ignore(*call.call(), *queue);
    }
    std::optional<std::size_t> pop(os::Deadline end) {
        if (left == 0) throw std::logic_error("multiproc: all results have come already");
        const std::optional<std::size_t> index = queue->pop(end);
        if (index) --left;
        return index;
    }

    State(const State&) = delete;
    State& operator=(const State&) = delete;

    std::vector<CallHandle> calls;
    std::shared_ptr<CompletionQueue> queue;
    os::Deadline deadline;
    std::size_t left;
};

namespace {

// Throws ClosedError if one of them was moved from.
std::vector<CallHandle> checked(std::vector<CallHandle> calls) {
    for (const CallHandle& call : calls) (void)call.ready();
    return calls;
}

}  // namespace

Completions::Completions(std::vector<CallHandle> calls, std::optional<Timeout> timeout)
    : state_(std::make_unique<State>(checked(std::move(calls)), deadline_or_never(timeout))) {
    for (std::size_t i = 0; i < state_->calls.size(); ++i) {
        CallState& call = *state_->calls[i].call();
        call.engine().listen(call, {state_->queue, i});
    }
}
Completions::~Completions() = default;
Completions::Completions(Completions&&) noexcept = default;
Completions& Completions::operator=(Completions&&) noexcept = default;

std::size_t Completions::left() const noexcept { return state_->left; }

std::optional<std::size_t> Completions::next() { return state_->pop(state_->deadline); }
std::optional<std::size_t> Completions::poll() { return state_->pop(os::Clock::now()); }

}  // namespace multiproc::detail
