// Several arguments for a function that `map` would give one: three ways.
//
//     def area(rectangle):                                 # 1. one argument that holds them all
//         width, height = rectangle
//         return width * height
//     pool.map(area, [[1, 2], [3, 4], [5, 6]])
//
//     def power(exponent, base): ...                       # 2. the same first arguments for all
//     pool.map(functools.partial(power, 2), range(5))
//
//     def repeat(word, times): ...                         # 3. a tuple for each call
//     pool.starmap(repeat, [('a', 1), ('b', 2), ('c', 3)])
#include <ranges>
#include <string>
#include <tuple>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "print.hpp"

namespace {

namespace mp = multiproc;

struct Rectangle {
    int width = 0, height = 0;
};
int area(const Rectangle& rectangle) { return rectangle.width * rectangle.height; }

int power(int exponent, int base) {
    int product = 1;
    for (int i = 0; i < exponent; ++i) product *= base;
    return product;
}

std::string repeat(const std::string& word, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += word;
    return text;
}

}  // namespace

int main() {
    mp::freeze_support();

    mp::Pool pool;
    examples::print(pool.map(area, std::vector<Rectangle>{{1, 2}, {3, 4}, {5, 6}}));
    examples::print(pool.map(mp::partial(power, 2), std::views::iota(0, 5)));
    examples::print(pool.starmap(repeat, std::vector<std::tuple<std::string, int>>{{"a", 1}, {"b", 2}, {"c", 3}}));
}
