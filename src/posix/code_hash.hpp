// Identity of code that carries no build id.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace multiproc::os::posix {

inline std::string to_hex(const unsigned char* bytes, std::size_t size) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(2 * size);
    for (std::size_t i = 0; i < size; ++i) {
        text += digits[bytes[i] >> 4];
        text += digits[bytes[i] & 15];
    }
    return text;
}

// 64 bits over any number of bytes: tells builds apart, is no protection against somebody who wants two to look the
// same. Four lanes, so that the multiplications of a large program overlap.
class CodeHash {
public:
    void add(const unsigned char* bytes, std::size_t size) noexcept {
        size_ += size;
        for (; size >= 32; bytes += 32, size -= 32) {
            for (std::size_t lane = 0; lane < 4; ++lane) mix(lanes_[lane], bytes + 8 * lane, 8);
        }
        for (; size != 0; bytes += step(size), size -= step(size)) mix(lanes_[0], bytes, step(size));
    }

    std::string text() const {
        std::uint64_t sum = size_;
        for (const std::uint64_t lane : lanes_) sum = scramble(sum ^ lane);
        std::array<unsigned char, 8> bytes;
        for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(sum >> (56 - 8 * i));
        return to_hex(bytes.data(), bytes.size());
    }

private:
    static std::size_t step(std::size_t size) noexcept { return size < 8 ? size : 8; }

    static std::uint64_t scramble(std::uint64_t value) noexcept {
        value ^= value >> 32;
        value *= 0xd6e8feb86659fd93u;
        value ^= value >> 32;
        value *= 0xd6e8feb86659fd93u;
        return value ^ (value >> 32);
    }

    static void mix(std::uint64_t& lane, const unsigned char* bytes, std::size_t count) noexcept {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes, count);
        lane = (lane ^ word) * 0x9e3779b97f4a7c15u;
        lane ^= lane >> 29;
    }

    std::array<std::uint64_t, 4> lanes_{1, 2, 3, 4};
    std::uint64_t size_ = 0;
};

}  // namespace multiproc::os::posix
