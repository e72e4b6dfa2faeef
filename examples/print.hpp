// Prints a range as Python prints a list: ['0', '1', '2'] or [0, 1, 2].
#pragma once

#include <iostream>
#include <ranges>
#include <string>
#include <type_traits>

namespace examples {

template <std::ranges::input_range Range>
void print(const Range& items) {
    constexpr bool is_text = std::is_convertible_v<std::ranges::range_value_t<Range>, std::string>;
    constexpr const char* quote = is_text ? "'" : "";
    const char* separator = "";
    std::cout << '[';
    for (const auto& item : items) {
        std::cout << separator << quote << item << quote;
        separator = ", ";
    }
    std::cout << "]\n";
}

}  // namespace examples
