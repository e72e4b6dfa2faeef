// What the dicts, lists and other containers of a manager do.
#include <cstdint>
#include <limits>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;
using ManagerDict = mp::test::EachStartMethod;
using ManagerList = mp::test::EachStartMethod;
using ManagerValue = mp::test::EachStartMethod;
using Pairs = std::vector<std::pair<std::string, int>>;

TEST_F(ManagerDict, sets_gets_and_erases) {
    const mp::Manager manager;
    const auto dict = manager.dict<std::string, int>();
    EXPECT_TRUE(dict.empty());
    dict.set("b", 1);
    dict["a"] = 2;
    dict["b"] = 3;
    EXPECT_EQ(dict.size(), 2u);
    EXPECT_EQ(dict.at("a"), 2);
    EXPECT_EQ(static_cast<int>(dict["b"]), 3);
    dict["c"] = dict["b"];
    EXPECT_EQ(dict.at("c"), 3);
    EXPECT_TRUE(dict.contains("a"));
    EXPECT_FALSE(dict.contains("d"));
    EXPECT_EQ(dict.get("d"), std::nullopt);
    EXPECT_EQ(dict.get("d", 7), 7);
    EXPECT_EQ(dict.get("a", 7), 2);
    EXPECT_TRUE(dict.erase("c"));
    EXPECT_FALSE(dict.erase("c"));
}

TEST_F(ManagerDict, keeps_the_order_of_insertion_and_gives_snapshots) {
    const mp::Manager manager;
    const auto dict = manager.dict<std::string, int>({{"z", 1}, {"a", 2}});
    dict.update(Pairs{{"m", 3}, {"z", 4}});
    EXPECT_EQ(dict.items(), (Pairs{{"z", 4}, {"a", 2}, {"m", 3}}));
    EXPECT_EQ(dict.keys(), (std::vector<std::string>{"z", "a", "m"}));
    EXPECT_EQ(dict.values(), (std::vector{4, 2, 3}));
    Pairs seen;
    for (const auto& item : dict) {
        dict.clear();  // the loop has its own copy
        seen.push_back(item);
    }
    EXPECT_EQ(seen, (Pairs{{"z", 4}, {"a", 2}, {"m", 3}}));
    EXPECT_TRUE(dict.empty());
    for (const auto& item : dict) ADD_FAILURE() << item.first;
}

TEST_F(ManagerDict, pops_and_sets_defaults) {
    const mp::Manager manager;
    const auto dict = manager.dict<std::string, int>({{"a", 1}, {"b", 2}, {"c", 3}});
    EXPECT_EQ(dict.pop("a"), 1);
    EXPECT_EQ(dict.pop("a", 9), 9);
    EXPECT_EQ(dict.popitem(), (std::pair<std::string, int>("c", 3)));
    EXPECT_EQ(dict.setdefault("b", 5), 2);
    EXPECT_EQ(dict.setdefault("d", 5), 5);
    EXPECT_EQ(dict.items(), (Pairs{{"b", 2}, {"d", 5}}));
}

TEST_F(ManagerDict, a_missing_key_is_an_error_that_names_it) {
    const mp::Manager manager;
    const auto dict = manager.dict<std::string, int>();
    try {
        dict.at("gone");
        FAIL();
    } catch (const std::out_of_range& error) {
        EXPECT_NE(std::string(error.what()).find("'gone'"), std::string::npos) << error.what();
        const auto& remote = dynamic_cast<const mp::RemoteError&>(error);
        EXPECT_EQ(remote.pid(), manager.pid());
    }
    EXPECT_THROW(dict.pop("gone"), std::out_of_range);
    EXPECT_THROW((void)static_cast<int>(dict["gone"]), std::out_of_range);
    EXPECT_THROW(dict.popitem(), std::out_of_range);
}

struct Point {
    int x = 0, y = 0;
    friend auto operator<=>(const Point&, const Point&) = default;
};

TEST_F(ManagerDict, takes_keys_that_have_an_order_and_no_hash) {
    const mp::Manager manager;
    const auto dict = manager.dict<Point, std::vector<std::string>>();
    dict.set({2, 1}, {"a"});
    dict.set({1, 2}, {"b", "c"});
    dict.set({2, 1}, {});
    EXPECT_EQ(dict.keys(), (std::vector<Point>{{2, 1}, {1, 2}}));
    EXPECT_EQ(dict.at({1, 2}).size(), 2u);
}

void fill(mp::DictProxy<mp::Any, mp::Any> dict, mp::ListProxy<int> list) {
    dict[1] = "1";
    dict["2"] = 2;
    dict[0.25] = nullptr;
    list.reverse();
}

TEST_F(ManagerDict, of_any_kind_is_filled_by_another_process) {
    const mp::Manager manager;
    const auto dict = manager.dict();
    const auto list = manager.list(std::views::iota(0, 10));
    mp::Process process(fill, dict, list);
    process.start();
    process.result();
    EXPECT_EQ(dict.repr(), "{1: '1', '2': 2, 0.25: None}");
    EXPECT_EQ(list.repr(), "[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]");
    EXPECT_EQ(dict.at(1.0), mp::Any("1"));  // as in Python, 1 and 1.0 are one key
}

TEST_F(ManagerDict, values_of_a_megabyte_come_and_go) {
    const mp::Manager manager;
    const auto dict = manager.dict<int, std::string>();
    for (int i = 0; i < 5; ++i) dict.set(i, std::string(1'000'000, static_cast<char>('a' + i)));
    for (int i = 0; i < 5; ++i) EXPECT_EQ(dict.at(i), std::string(1'000'000, static_cast<char>('a' + i)));
}

TEST_F(ManagerList, is_indexed_from_both_ends) {
    const mp::Manager manager;
    const auto list = manager.list({10, 20, 30});
    EXPECT_EQ(list.at(0), 10);
    EXPECT_EQ(list.at(-1), 30);
    list.set(-3, 11);
    list[1] = 21;
    EXPECT_EQ(static_cast<int>(list[0]), 11);
    list[2] = list[0];
    EXPECT_EQ(list.copy(), (std::vector{11, 21, 11}));
    for (const std::int64_t index : {3, -4}) {
        EXPECT_THROW(list.at(index), std::out_of_range);
        EXPECT_THROW(list.set(index, 1), std::out_of_range);
        EXPECT_THROW(list.pop(index), std::out_of_range);
    }
}

TEST_F(ManagerList, slices) {
    const mp::Manager manager;
    const auto list = manager.list({0, 1, 2, 3, 4});
    EXPECT_EQ(list.slice(1, 3), (std::vector{1, 2}));
    EXPECT_EQ(list.slice(-2), (std::vector{3, 4}));
    EXPECT_EQ(list.slice(3, 1), std::vector<int>());
    EXPECT_EQ(list.slice(-100, 100), (std::vector{0, 1, 2, 3, 4}));
    list.set_slice(1, 4, {7});
    EXPECT_EQ(list.copy(), (std::vector{0, 7, 4}));
}

TEST_F(ManagerList, grows_and_shrinks) {
    const mp::Manager manager;
    const auto list = manager.list<std::string>();
    list.append("b");
    list.insert(0, "a");
    list.insert(100, "c");
    list.extend(std::vector<std::string>{"d", "e"});
    EXPECT_EQ(list.copy(), (std::vector<std::string>{"a", "b", "c", "d", "e"}));
    EXPECT_EQ(list.pop(), "e");
    EXPECT_EQ(list.pop(0), "a");
    list.remove("c");
    EXPECT_THROW(list.remove("c"), std::invalid_argument);
    EXPECT_EQ(list.copy(), (std::vector<std::string>{"b", "d"}));
    list.clear();
    EXPECT_EQ(list.size(), 0u);
    EXPECT_THROW(list.pop(), std::out_of_range);
}

TEST_F(ManagerList, sorts_reverses_counts_and_finds) {
    const mp::Manager manager;
    const auto list = manager.list({3, 1, 2, 1});
    list.sort();
    EXPECT_EQ(list.copy(), (std::vector{1, 1, 2, 3}));
    list.sort(true);
    EXPECT_EQ(list.copy(), (std::vector{3, 2, 1, 1}));
    list.reverse();
    EXPECT_EQ(list.copy(), (std::vector{1, 1, 2, 3}));
    EXPECT_EQ(list.count(1), 2u);
    EXPECT_EQ(list.index(2), 2u);
    EXPECT_THROW((void)list.index(9), std::invalid_argument);
    const auto mixed = manager.list<mp::Any>({1, "two"});
    EXPECT_THROW(mixed.sort(), std::invalid_argument);
}

TEST_F(ManagerList, nested_proxies_keep_what_they_refer_to_and_change_it_in_place) {
    const mp::Manager manager;
    const auto rows = manager.list<mp::ListProxy<int>>();
    {
        const auto row = manager.list({1});
        rows.append(row);
        rows.append(row);
    }
    rows.at(0).append(2);
    EXPECT_EQ(rows.at(1).copy(), (std::vector{1, 2}));
    const auto plain = manager.list<std::vector<int>>();
    plain.append({1});
    plain.at(0).push_back(2);  // of a copy
    EXPECT_EQ(plain.at(0), std::vector{1});
}

TEST_F(ManagerValue, value_array_and_namespace) {
    const mp::Manager manager;
    const auto value = manager.value(1.5);
    value.set(2.5);
    EXPECT_EQ(value.get(), 2.5);
    const auto array = manager.array({1, 2, 3});
    array.set(-1, 9);
    EXPECT_EQ(array.copy(), (std::vector{1, 2, 9}));
    EXPECT_EQ(array.slice(1), (std::vector{2, 9}));
    EXPECT_THROW(array.set(3, 0), std::out_of_range);
    const auto names = manager.make_namespace();
    names["x"] = 10;
    names["y"] = "hello";
    EXPECT_EQ(names.get("x").as<int>(), 10);
    EXPECT_EQ(names["y"].as<std::string>(), "hello");
    EXPECT_EQ(names.repr(), "Namespace(x=10, y='hello')");
    names.erase("x");
    EXPECT_FALSE(names.contains("x"));
    EXPECT_THROW(names.get("x"), std::out_of_range);
    EXPECT_THROW(names.erase("x"), std::out_of_range);
}

TEST_F(ManagerDict, a_key_that_is_not_equal_to_itself_does_no_harm) {
    const mp::Manager manager;
    const auto dict = manager.dict<double, int>();
    dict.set(std::numeric_limits<double>::quiet_NaN(), 1);
    dict.set(std::numeric_limits<double>::quiet_NaN(), 2);
    EXPECT_EQ(dict.size(), 2u);
    EXPECT_EQ(dict.popitem().second, 2);
    EXPECT_EQ(dict.popitem().second, 1);
    for (int i = 0; i < 100; ++i) dict.set(i, i);
    EXPECT_EQ(dict.size(), 100u);
}

TEST_F(ManagerDict, large_numbers_are_named_in_errors) {
    const mp::Manager manager;
    const auto dict = manager.dict<std::uint64_t, int>();
    try {
        dict.at(UINT64_MAX);
        FAIL();
    } catch (const std::out_of_range& error) {
        EXPECT_NE(std::string(error.what()).find("18446744073709551615"), std::string::npos) << error.what();
    }
}

struct Incomparable {
    int x = 0;
};

TEST_F(ManagerList, of_what_cannot_be_compared_and_of_bools) {
    const mp::Manager manager;
    const auto list = manager.list<std::vector<Incomparable>>();
    list.append({Incomparable{1}, Incomparable{2}});
    EXPECT_EQ(list.at(0).size(), 2u);
    const auto flags = manager.list({true, false});
    std::vector<bool> seen;
    for (const bool flag : flags) seen.push_back(flag);
    EXPECT_EQ(seen, (std::vector{true, false}));
}

TEST_F(ManagerList, a_sort_that_throws_loses_nothing) {
    const mp::Manager manager;
    const auto list = manager.list<mp::Any>();
    for (int i = 0; i < 30; ++i) list.append(i == 15 ? mp::Any(1) : mp::Any("text number " + std::to_string(30 - i)));
    const std::vector<mp::Any> before = list.copy();
    EXPECT_THROW(list.sort(), std::invalid_argument);
    EXPECT_EQ(list.copy(), before);
}

}  // namespace
