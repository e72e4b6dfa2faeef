// Numbers as they travel: the lowest byte first, whatever machine this is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace multiproc::network {

inline void put_number(std::span<std::byte, 8> target, std::uint64_t number) noexcept {
    for (std::size_t i = 0; i < 8; ++i) target[i] = static_cast<std::byte>(number >> (8 * i));
}

inline std::uint64_t get_number(std::span<const std::byte, 8> source) noexcept {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 8; ++i) number |= std::to_integer<std::uint64_t>(source[i]) << (8 * i);
    return number;
}

}  // namespace multiproc::network
