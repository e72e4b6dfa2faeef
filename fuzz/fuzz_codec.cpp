// The codec: whatever the bytes are, a value or a CodecError; and what was decoded is a proper value, which survives
// being sent on.
//
// The first byte chooses the type.
#include <bitset>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <optional>
#include <set>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "support/codec_samples.hpp"
#include "target.hpp"

namespace {

using namespace codec_samples;
using namespace multiproc::fuzz;

struct Serialized {
    std::vector<std::string> texts;
    std::shared_ptr<int> number;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(texts, number);
    }
};

struct Graph {
    std::shared_ptr<Graph> left, right;
    int value = 0;
};

// More in memory than in the message.
struct Roomy {
    std::optional<std::array<double, 30>> maybe;
};

template <class... Ts>
struct Types {};
using Ordered =
    Types<bool, Switches, std::string, std::vector<bool>, std::vector<Padded>, std::vector<std::string>,
          std::deque<Job>, std::list<std::vector<int>>, std::forward_list<Color>, std::set<std::string>,
          std::vector<std::variant<int, std::string, Job>>, std::vector<std::unique_ptr<Point>>,
          std::vector<std::shared_ptr<std::string>>, Tree, Chain, Graph, WithArrays, std::filesystem::path,
          std::bitset<77>, std::error_code, Serialized, std::vector<Roomy>, std::u32string,
          std::optional<std::optional<bool>>, std::tuple<std::map<int, std::pair<double, Color>>, std::array<Job, 2>>>;
// Their elements may come out in another order than they went in.
using Unordered = Types<std::unordered_map<int, std::vector<std::string>>, std::unordered_set<std::uint8_t>,
                        std::unordered_multimap<std::string, Point>>;

template <class T>
ByteVector survive(Bytes bytes, bool whole) {
    multiproc::InputBuffer in(bytes);
    const T value = multiproc::decode<T>(in);
    if (whole) require(in.remaining() == 0, "what was encoded is decoded to its end");
    return encoded(value);
}

template <class T>
void run(Bytes bytes, bool is_ordered) {
    ByteVector once;
    try {
        once = survive<T>(bytes, false);
    } catch (const multiproc::CodecError& error) {
        require(*error.what() != '\0', "an error says what is wrong");
        return;
    }
    const ByteVector twice = survive<T>(once, true);
    require(once.size() == twice.size() && (!is_ordered || once == twice), "a decoded value can be sent on");
}

template <class... Ts>
void run_one_of(Types<Ts...>, std::size_t choice, Bytes bytes, bool is_ordered) {
    std::size_t number = 0;
    ((number++ == choice ? run<Ts>(bytes, is_ordered) : void()), ...);
}
template <class... Ts>
constexpr std::size_t count_of(Types<Ts...>) {
    return sizeof...(Ts);
}

void run(Bytes bytes) {
    Cursor cursor(bytes);
    const std::size_t choice = cursor.take<unsigned char>();
    constexpr std::size_t ordered = count_of(Ordered());
    if (choice < ordered) return run_one_of(Ordered(), choice, cursor.rest(), true);
    run_one_of(Unordered(), choice - ordered, cursor.rest(), false);
}

template <class T, class... Ts>
std::size_t index_in(Types<Ts...>) {
    std::size_t number = 0;
    bool found = false;
    ((found = found || std::is_same_v<T, Ts>, number += found ? 0 : 1), ...);
    return number;
}
template <class T>
Seed seed(const char* name, const T& value) {
    std::size_t choice = index_in<T>(Ordered());
    if (choice == count_of(Ordered())) choice += index_in<T>(Unordered());
    return {name, joined(raw(static_cast<unsigned char>(choice)), encoded(value))};
}

Seeds seeds() {
    const auto text = std::make_shared<std::string>("shared");
    Graph graph{std::make_shared<Graph>(), nullptr, 1};
    graph.right = graph.left;
    WithArrays arrays;
    arrays.words[1] = "word";
    Chain chain{1, std::make_unique<Chain>()};
    std::vector<std::unique_ptr<Point>> points(2);
    points[0] = std::make_unique<Point>(Point{1, 2});
    std::vector<Roomy> roomy(2);
    roomy[1].maybe.emplace();
    using Pairs = std::tuple<std::map<int, std::pair<double, Color>>, std::array<Job, 2>>;
    return {seed("switches", Switches{true, {true, false}, 'x'}),
            seed("string", std::string("text")),
            seed("bools", std::vector<bool>{true, false, true}),
            seed("padded", std::vector<Padded>(3, {'a', 1.5})),
            seed("strings", std::vector<std::string>{"a", "bb", ""}),
            seed("jobs", std::deque<Job>{sample_job(), sample_job()}),
            seed("lists", std::list<std::vector<int>>{{1, 2}, {}, std::vector<int>(20, 7)}),
            seed("colors", std::forward_list<Color>{Color::red, Color::blue}),
            seed("set", std::set<std::string>{"x", "y"}),
            seed("variants", std::vector<std::variant<int, std::string, Job>>{1, "two", sample_job()}),
            seed("pointers", points),
            seed("shared", std::vector<std::shared_ptr<std::string>>{text, nullptr, text}),
            seed("tree", Tree{1, {{2, {}}, {3, {{4, {}}}}}}),
            seed("chain", chain),
            seed("graph", graph),
            seed("arrays", arrays),
            seed("path", std::filesystem::path("folder/file")),
            seed("bits", std::bitset<77>(70)),
            seed("error_code", std::make_error_code(std::errc::io_error)),
            seed("serialized", Serialized{{"a"}, std::make_shared<int>(4)}),
            seed("roomy", roomy),
            seed("wide", std::u32string(U"wide")),
            seed("optional", std::optional<std::optional<bool>>(std::optional<bool>(true))),
            seed("tuple", Pairs{{{1, {2.5, Color::green}}}, {sample_job(), sample_job()}}),
            seed("map", std::unordered_map<int, std::vector<std::string>>{{1, {"one"}}, {2, {}}}),
            seed("numbers", std::unordered_set<std::uint8_t>{1, 2, 3}),
            seed("multimap", std::unordered_multimap<std::string, Point>{{"a", {1, 2}}, {"a", {3, 4}}})};
}

const Target target("codec", &run, &seeds);

}  // namespace
