// What all fuzz targets have in common: a target is a function that gets bytes from outside and aborts the process if
// a promise is broken. It keeps nothing from one call to the next that could change what the next one does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/codec.hpp>

namespace multiproc::fuzz {

using Bytes = std::span<const std::byte>;
using ByteVector = std::vector<std::byte>;

// Messages as the library itself writes them, from which a fuzzer starts.
struct Seed {
    std::string name;
    ByteVector bytes;
};
using Seeds = std::vector<Seed>;

// One for each target, as a static object of its file.
class Target {
public:
    Target(const char* name, void (*run)(Bytes), Seeds (*seeds)());
    Target(const Target&) = delete;
    Target& operator=(const Target&) = delete;

    const char* name() const noexcept { return name_; }
    void run(Bytes bytes) const { run_(bytes); }
    Seeds seeds() const { return seeds_(); }

    static const std::vector<const Target*>& all();

private:
    const char* name_;
    void (*run_)(Bytes);
    Seeds (*seeds_)();
};

// Ends the process if `promise` does not hold, with these words.
void require(bool holds, const char* promise);

// The bytes of the case at hand, from their begin. What is missing is zero.
class Cursor {
public:
    explicit Cursor(Bytes bytes) noexcept : bytes_(bytes) {}
    template <class T>
    T take() noexcept {
        T value{};
        const std::size_t size = sizeof value < bytes_.size() ? sizeof value : bytes_.size();
        if (size != 0) std::memcpy(&value, bytes_.data(), size);
        bytes_ = bytes_.subspan(size);
        return value;
    }
    Bytes take_bytes(std::size_t count) noexcept {
        const Bytes taken = bytes_.first(count < bytes_.size() ? count : bytes_.size());
        bytes_ = bytes_.subspan(taken.size());
        return taken;
    }
    Bytes rest() const noexcept { return bytes_; }

private:
    Bytes bytes_;
};

// The values' encodings, one behind the other.
template <class... Ts>
ByteVector encoded(const Ts&... values) {
    HeapBuffer out;
    encode(out, values...);
    return {out.bytes().begin(), out.bytes().end()};
}

inline Bytes bytes_of(const std::string& text) noexcept { return std::as_bytes(std::span(text)); }

// One piece behind the other.
template <class... Pieces>
ByteVector joined(const Pieces&... pieces) {
    ByteVector all;
    const auto add = [&](const auto& piece) {
        const Bytes bytes = std::as_bytes(std::span(piece));
        all.insert(all.end(), bytes.begin(), bytes.end());
    };
    (add(pieces), ...);
    return all;
}
// The value as it is in memory.
template <class T>
Bytes raw(const T& value) noexcept {
    return std::as_bytes(std::span(&value, 1));
}

}  // namespace multiproc::fuzz
