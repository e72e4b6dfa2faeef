// A ring that the other side has filled with the bytes of the case; around it is memory that nobody may touch.
#pragma once

#include <algorithm>
#include <bit>
#include <memory>

#include "ring.hpp"
#include "target.hpp"

namespace multiproc::fuzz {

class FilledRing {
public:
    // The smallest ring that holds all of `bytes`.
    explicit FilledRing(Bytes bytes)
        : content_(bytes),
          capacity_(std::max(std::bit_ceil(bytes.size()), 4 * ring_cell)),
          lines_(std::make_unique<Line[]>(capacity_ / sizeof(Line))) {
        restore();
    }

    RingMemory memory() const noexcept { return {data(), capacity_}; }
    std::byte* data() const noexcept { return lines_[0].bytes; }
    std::size_t capacity() const noexcept { return capacity_; }
    bool holds(const std::byte* begin, std::size_t size) const noexcept {
        return begin >= data() && begin <= data() + capacity_ &&
               size <= static_cast<std::size_t>(data() + capacity_ - begin);
    }
    // As it may be changed at any time by who has it mapped as well.
    void scribble() const noexcept { std::memset(data(), 0xa5, capacity_); }
    void restore() const noexcept {
        if (!content_.empty()) std::memcpy(data(), content_.data(), content_.size());
        std::memset(data() + content_.size(), 0, capacity_ - content_.size());
    }

private:
    struct Line {
        alignas(cache_line) std::byte bytes[cache_line];
    };
    Bytes content_;
    std::size_t capacity_;
    std::unique_ptr<Line[]> lines_;
};

// Reads all of it, so that a sanitizer sees what must not be read.
inline unsigned sum_of(Bytes bytes) noexcept {
    unsigned sum = 0;
    for (const std::byte byte : bytes) sum += std::to_integer<unsigned>(byte);
    return sum;
}

}  // namespace multiproc::fuzz
