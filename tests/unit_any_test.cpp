// Values of any kind compare, order, hash and look as Python's.
#include <cstdint>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/any.hpp>

namespace {

using multiproc::Any;

TEST(Any, looks_as_in_python) {
    const Any mixed = Any::List{1, "it's", 3.0, true, nullptr, Any::List{}, Any::Dict{{"a", 0.1}, {2, "\n\""}}};
    EXPECT_EQ(mixed.repr(), R"([1, "it's", 3.0, True, None, [], {'a': 0.1, 2: '\n"'}])");
    EXPECT_EQ(Any(1e16).repr(), "1e+16");
    EXPECT_EQ(Any(123456789.0).repr(), "123456789.0");
    EXPECT_EQ(Any(1e-5).repr(), "1e-05");
    EXPECT_EQ(Any(-std::numeric_limits<double>::infinity()).repr(), "-inf");
    EXPECT_EQ(Any("\x01").repr(), R"('\x01')");
    std::ostringstream out;
    out << Any(std::int8_t{-3});
    EXPECT_EQ(out.str(), "-3");
}

TEST(Any, numbers_are_equal_by_value_and_hash_alike) {
    EXPECT_EQ(Any(1), Any(1.0));
    EXPECT_EQ(Any(true), Any(1));
    EXPECT_NE(Any(1), Any("1"));
    EXPECT_NE(Any(), Any(0));
    EXPECT_EQ(Any(1).hash(), Any(1.0).hash());
    EXPECT_EQ(Any(true).hash(), Any(1).hash());
    const std::int64_t large = (std::int64_t{1} << 53) + 1;
    EXPECT_NE(Any(large), Any(static_cast<double>(large)));  // the double is another number
    EXPECT_LT(Any(INT64_MAX), Any(9223372036854775808.0));
    EXPECT_NE(Any(std::numeric_limits<double>::quiet_NaN()), Any(std::numeric_limits<double>::quiet_NaN()));
}

TEST(Any, orders_what_has_an_order) {
    EXPECT_LT(Any(1), Any(1.5));
    EXPECT_GT(Any("b"), Any("a"));
    EXPECT_LT((Any(Any::List{1, 2})), (Any(Any::List{1, 3})));
    EXPECT_LT((Any(Any::List{1})), (Any(Any::List{1, 0})));
    EXPECT_THROW((void)(Any(1) < Any("a")), std::invalid_argument);
    EXPECT_THROW((void)(Any() < Any()), std::invalid_argument);
}

TEST(Any, dicts_are_equal_in_whatever_order) {
    const Any a = Any::Dict{{1, "x"}, {2, "y"}}, b = Any::Dict{{2, "y"}, {1, "x"}};
    EXPECT_EQ(a, b);
    EXPECT_EQ(a.hash(), b.hash());
    EXPECT_NE(a, (Any(Any::Dict{{1, "x"}})));
}

TEST(Any, is_taken_as_what_it_is) {
    EXPECT_EQ(Any(7).as<std::uint8_t>(), 7);
    EXPECT_EQ(Any(7).as<double>(), 7.0);
    EXPECT_EQ(Any("x").as<std::string>(), "x");
    EXPECT_EQ((Any(Any::List{1}).as<Any::List>().size()), 1u);
    EXPECT_THROW((void)Any(300).as<std::uint8_t>(), std::out_of_range);
    EXPECT_THROW((void)Any(-1).as<unsigned>(), std::out_of_range);
    EXPECT_THROW((void)Any("7").as<int>(), std::invalid_argument);
    EXPECT_THROW((void)Any(1).as<bool>(), std::invalid_argument);
    EXPECT_THROW(Any(std::uint64_t{1} << 63), std::out_of_range);
}

TEST(Any, travels) {
    const Any value = Any::List{Any(), true, -5, 2.5, "text", Any::Dict{{1, Any::List{2}}}};
    multiproc::HeapBuffer out;
    multiproc::encode(out, value);
    multiproc::InputBuffer in(out.bytes());
    EXPECT_EQ(multiproc::decode<Any>(in), value);
}

}  // namespace
