// What the programs with unusual link options do: tasks that a linker could mistake for each other.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include <multiproc/multiproc.hpp>

namespace multiproc::test {

inline int same_a(int x) { return x * 3 + 1; }
inline int same_b(int x) { return x * 3 + 1; }
inline std::string text_a(const std::string& text) { return text + "a"; }
inline std::string text_b(const std::string& text) { return text + "b"; }
inline std::uint64_t wide(std::uint64_t x) { return x; }
inline std::int64_t wide_signed(std::int64_t x) { return x; }
struct Meters {
    double value = 0;
    double operator()(double x) const { return value + x; }
};
struct Feet {
    double value = 0;
    double operator()(double x) const { return value + x; }
};

template <class Result, class F, class... Args>
bool gives(const Result& expected, F f, Args... args) {
    Process p(f, args...);
    p.start();
    return p.result() == expected;
}

// `argv[1]`: a start method. Prints "ok" or what is wrong; the exit code says the same.
inline int run_identity_program(int argc, char** argv) {
    freeze_support();
    if (argc > 1) set_start_method(start_method_from(argv[1]));
    const char* wrong = nullptr;
    const auto check = [&wrong](bool right, const char* what) {
        if (!right && wrong == nullptr) wrong = what;
    };
    check(gives(7, same_a, 2), "same_a");
    check(gives(10, same_b, 3), "same_b");
    check(gives(std::string("xa"), text_a, "x"), "text_a");
    check(gives(std::string("xb"), text_b, "x"), "text_b");
    check(gives(~std::uint64_t{0}, wide, ~std::uint64_t{0}), "wide");
    check(gives(std::int64_t{-1}, wide_signed, -1), "wide_signed");
    check(gives(3.0, Meters{1}, 2.0), "Meters");
    check(gives(5.0, Feet{2}, 3.0), "Feet");
    check(gives(
              1, [](int x) { return x; }, 1),
          "first lambda");
    check(gives(
              2, [](int x) { return x; }, 2),
          "second lambda");
    check(gives(7, partial(same_a, 2)), "partial");
    std::puts(wrong == nullptr ? "ok" : wrong);
    return wrong == nullptr ? 0 : 1;
}

}  // namespace multiproc::test
