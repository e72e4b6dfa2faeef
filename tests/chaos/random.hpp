// Random numbers that are the same everywhere for the same seed, which those of <random>'s distributions are not.
#pragma once

#include <cstdint>

namespace chaos {

// SplitMix64.
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept {
        state_ += 0x9e3779b97f4a7c15;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    // 0 <= result < count
    std::uint32_t below(std::uint32_t count) noexcept {
        return static_cast<std::uint32_t>((next() >> 32) * std::uint64_t{count} >> 32);
    }
    // Both ends included.
    std::uint32_t between(std::uint32_t least, std::uint32_t most) noexcept { return least + below(most - least + 1); }
    // Small numbers about as often as those ten times as large.
    std::uint32_t about(std::uint32_t most) noexcept { return below(1 + (most >> below(16))); }
    bool one_in(std::uint32_t count) noexcept { return below(count) == 0; }
    // Another sequence, for a thread or process of its own.
    Random branch() noexcept { return Random(next()); }

private:
    std::uint64_t state_;
};

// The seed of a round of a run. The first round's is the run's own, so a round is repeated by running its seed alone.
inline std::uint64_t seed_of_round(std::uint64_t seed, std::uint64_t round) noexcept {
    return round == 0 ? seed : Random(seed ^ round * 0xd1342543de82ef95).next() >> 16;
}

}  // namespace chaos
