/// @file
/// Several calls, in the order in which they are done. Internal.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include <multiproc/config.hpp>
#include <multiproc/detail/pool_client.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc::detail {

class MULTIPROC_API Completions {
public:
    /// The timeout counts from now; none: no limit.
    Completions(std::vector<CallHandle> calls, std::optional<Timeout> timeout);
    ~Completions();
    Completions(Completions&&) noexcept;
    Completions& operator=(Completions&&) noexcept;

    std::size_t left() const noexcept;
    /// The index of the next call that is done: waits for it. Nothing when the time is over. Throws std::logic_error if
    /// none is left.
    std::optional<std::size_t> next();
    /// The same without waiting.
    std::optional<std::size_t> poll();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace multiproc::detail
