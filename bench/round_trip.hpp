// What round trips between two processes that do not sleep are measured against.
#pragma once

#include <cstddef>

namespace bench {

constexpr std::size_t awake_batches = 25;
constexpr std::size_t awake_batch = 400;

/// Seconds for one round trip by two cache lines between two spinning processes.
double spinning_round_trip();

}  // namespace bench
