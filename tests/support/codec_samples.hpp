// Types and helpers that the tests of the codec share.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <multiproc/codec.hpp>

namespace codec_samples {

enum class Color : std::uint8_t { red, green, blue };

struct Point {
    std::int32_t x = 0;
    std::int32_t y = 0;
    bool operator==(const Point&) const = default;
};

// Bools inside a value that travels as its bytes.
struct Switches {
    bool on = false;
    std::array<bool, 2> more{};
    char name = 0;
    bool operator==(const Switches&) const = default;
};

struct Padded {
    char tag = 0;
    double value = 0;
    bool operator==(const Padded&) const = default;
};

struct WithArrays {
    char name[8] = {};
    int grid[2][3] = {};
    std::string words[2];
    Point corners[2] = {};
    std::string last;
    bool operator==(const WithArrays&) const = default;
};

struct Job {
    std::string name;
    std::vector<double> samples;
    std::optional<int> limit;
    Color color = Color::red;
    std::map<std::string, Point> places;
    std::variant<int, std::string, Point> extra;
    bool operator==(const Job&) const = default;
};

struct Tree {
    int value = 0;
    std::vector<Tree> children;
    bool operator==(const Tree&) const = default;
};

struct Chain {
    int value = 0;
    std::unique_ptr<Chain> next;
};

struct Ring {
    int value = 0;
    std::shared_ptr<Ring> next;
};

inline Job sample_job() {
    return {"thumbnails", {1.5, -2.25, 1e300}, 7, Color::blue, {{"a", {1, 2}}, {"b", {3, 4}}}, Point{5, 6}};
}

template <class... Ts>
std::vector<std::byte> bytes_of(const Ts&... values) {
    multiproc::HeapBuffer out;
    multiproc::encode(out, values...);
    return {out.bytes().begin(), out.bytes().end()};
}

template <class T>
T from_bytes(const std::vector<std::byte>& bytes) {
    multiproc::InputBuffer in(bytes);
    T value = multiproc::decode<T>(in);
    if (in.remaining() != 0) throw std::logic_error("bytes were left over");
    return value;
}

// What arrives when `value` is sent.
template <class T>
T sent(const T& value) {
    return from_bytes<T>(bytes_of(value));
}

}  // namespace codec_samples
