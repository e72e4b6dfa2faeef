// How arguments and results get across.
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

using namespace std::chrono_literals;
namespace mp = multiproc;

using TaskArguments = mp::test::EachStartMethod;

template <class F, class... Args>
auto run(F&& f, Args&&... args) {
    mp::Process p(std::forward<F>(f), std::forward<Args>(args)...);
    p.start();
    return p.result();
}

std::size_t by_value(std::string text) { return text.size(); }
std::size_t by_reference(const std::string& text) { return text.size(); }
std::size_t by_rvalue(std::string&& text) { return std::string(std::move(text)).size(); }
std::size_t by_view(std::string_view text) { return text.size(); }

TEST_F(TaskArguments, by_value_by_const_reference_by_rvalue_and_by_view) {
    const std::string text = "four";
    EXPECT_EQ(run(by_value, text), 4U);
    EXPECT_EQ(run(by_reference, text), 4U);
    EXPECT_EQ(run(by_rvalue, text), 4U);
    EXPECT_EQ(run(by_view, text), 4U);
    EXPECT_EQ(run(by_view, std::string_view(text).substr(1)), 3U);
}

TEST_F(TaskArguments, literals_become_strings) {
    EXPECT_EQ(run(by_value, "seven ä"), std::string("seven ä").size());
    EXPECT_EQ(run(by_reference, "seven"), 5U);
    EXPECT_EQ(run(by_rvalue, "seven"), 5U);
    EXPECT_EQ(run(by_view, "seven"), 5U);
    EXPECT_EQ(run([](const std::string& a, const std::vector<std::string>& b) { return a + b.at(1); }, "x",
                  std::vector<std::string>{"y", "z"}),
              "xz");
}

int sum(std::span<const int> numbers) {
    int total = 0;
    for (const int number : numbers) total += number;
    return total;
}
int sum_three(std::span<const int, 3> numbers) { return sum(numbers); }
std::size_t sum_and_change(std::span<int> numbers) {
    for (int& number : numbers) number = 1;
    return numbers.size();
}

TEST_F(TaskArguments, spans_view_storage_that_lives_for_the_call) {
    const std::vector<int> list{1, 2, 3};
    std::array<int, 3> array{4, 5, 6};
    EXPECT_EQ(run(sum, list), 6);
    EXPECT_EQ(run(sum, std::span<const int>(array)), 15);
    EXPECT_EQ(run(sum_three, std::span<const int, 3>(array)), 15);
    EXPECT_EQ(run(sum_and_change, list), 3U);
}

TEST_F(TaskArguments, arguments_convert_in_the_caller) {
    EXPECT_EQ(run([](double x) { return x / 2; }, 3), 1.5);
    EXPECT_EQ(run([](std::optional<int> x) { return x.value_or(-1); }, 3), 3);
    EXPECT_EQ(run([](std::optional<int> x) { return x.value_or(-1); }, std::nullopt), -1);
    EXPECT_EQ(run([](std::variant<int, std::string> x) { return x.index(); }, std::string("x")), 1U);
    EXPECT_EQ(run([](const std::filesystem::path& p) { return p.filename(); }, "/a/b.txt"),
              std::filesystem::path("b.txt"));
}

struct Explicit {
    explicit Explicit(int start = 0) : value(start) {}
    int value;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value);
    }
};

TEST_F(TaskArguments, explicit_conversions_count_too) {
    EXPECT_EQ(run([](const Explicit& e) { return e.value; }, 12), 12);
}

TEST_F(TaskArguments, what_can_only_be_moved) {
    EXPECT_EQ(*run([](std::unique_ptr<int> p) { return std::make_unique<int>(*p + 1); }, std::make_unique<int>(4)), 5);
    EXPECT_EQ(run([](std::unique_ptr<int> p) { return p == nullptr; }, nullptr), true);
    EXPECT_EQ(run([](const std::vector<std::unique_ptr<int>>& all) { return *all.at(0) + *all.at(1); },
                  [] {
                      std::vector<std::unique_ptr<int>> all;
                      all.push_back(std::make_unique<int>(1));
                      all.push_back(std::make_unique<int>(2));
                      return all;
                  }()),
              3);
}

enum class Color : std::uint8_t { red, green };
struct Point {
    double x = 0, y = 0;
    bool operator==(const Point&) const = default;
};
struct Shape {
    std::string name;
    Color color = Color::red;
    std::array<Point, 2> corners{};
    std::map<std::string, std::vector<int>> tags;
    bool operator==(const Shape&) const = default;
};
Shape turned(Shape shape) {
    std::swap(shape.corners[0], shape.corners[1]);
    shape.color = Color::green;
    shape.tags["turned"].push_back(1);
    return shape;
}

TEST_F(TaskArguments, plain_aggregates_need_nothing) {
    EXPECT_EQ(run(turned, Shape{"box", Color::red, {Point{1, 2}, Point{3, 4}}, {}}),
              (Shape{"box", Color::green, {Point{3, 4}, Point{1, 2}}, {{"turned", {1}}}}));
}

TEST_F(TaskArguments, enums_times_paths_pairs_and_tuples) {
    EXPECT_EQ(run([](Color c) { return c == Color::green ? Color::red : Color::green; }, Color::red), Color::green);
    EXPECT_EQ(run([](std::chrono::milliseconds t) { return t * 2; }, 3s), 6s);
    const auto now = std::chrono::system_clock::now();
    EXPECT_EQ(run([](std::chrono::system_clock::time_point t) { return t + 1h; }, now), now + 1h);
    EXPECT_EQ(run([](std::pair<int, std::string> p) { return std::tuple(p.second, p.first, 'c'); }, std::pair(1, "x")),
              std::tuple(std::string("x"), 1, 'c'));
    EXPECT_EQ(run([](const std::filesystem::path& p) { return p / "ü"; }, std::filesystem::path(u8"ä")),
              std::filesystem::path(u8"ä") / "ü");
}

TEST_F(TaskArguments, nothing_and_much) {
    run([] {});
    EXPECT_EQ(run([](int a, int b, int c, int d, int e, int f, int g, int h) { return a + b + c + d + e + f + g + h; },
                  1, 2, 3, 4, 5, 6, 7, 8),
              36);
    EXPECT_EQ(run([](const std::vector<std::string>& all) { return all; }, std::vector<std::string>{}),
              std::vector<std::string>{});
    EXPECT_EQ(run([](const std::string& s) { return s; }, std::string("\0\xff\n", 3)), std::string("\0\xff\n", 3));
}

const std::string const_result() { return "const"; }  // NOLINT: seen in the wild

TEST_F(TaskArguments, a_const_result_is_a_value) { EXPECT_EQ(run(const_result), "const"); }

TEST_F(TaskArguments, arguments_are_taken_when_the_process_is_made) {
    std::string text = "before";
    mp::Process p(by_value, text);
    text = "long after";
    p.start();
    EXPECT_EQ(p.result(), 6U);
}

}  // namespace
