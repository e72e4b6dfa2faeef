// What can be run in another process.
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;

using TaskCallables = mp::test::EachStartMethod;

template <class F, class... Args>
auto run(F&& f, Args&&... args) {
    mp::Process p(std::forward<F>(f), std::forward<Args>(args)...);
    p.start();
    return p.result();
}

int add(int a, int b) { return a + b; }
int add_without_throwing(int a, int b) noexcept { return a + b; }

TEST_F(TaskCallables, a_function) {
    EXPECT_EQ(run(add, 2, 3), 5);
    EXPECT_EQ(run(&add, 2, 3), 5);
    EXPECT_EQ(run(add_without_throwing, 2, 3), 5);
}

TEST_F(TaskCallables, a_function_pointer_chosen_at_run_time) {
    int (*chosen[])(int) = {[](int x) { return x + 1; }, [](int x) { return x * 2; }};
    EXPECT_EQ(run(chosen[0], 10), 11);
    EXPECT_EQ(run(chosen[1], 10), 20);
}

TEST_F(TaskCallables, an_empty_function_pointer_is_an_error_at_once) {
    int (*none)(int) = nullptr;
    EXPECT_THROW(mp::Process(none, 1), std::invalid_argument);
    EXPECT_THROW(mp::partial(none, 1), std::invalid_argument);
}

TEST_F(TaskCallables, a_lambda_without_captures) {
    EXPECT_EQ(run([](int x) { return x * 7; }, 6), 42);
    EXPECT_EQ(run([](auto x, auto y) { return x + y; }, 1, 0.5), 1.5) << "generic";
    EXPECT_EQ(run([](int x) mutable { return ++x; }, 6), 7);
    EXPECT_EQ(run([](int x) noexcept { return x; }, 6), 6);
    run([] {});
}

struct Scale {
    double factor = 1;
    std::vector<int> history;
    double operator()(double x) const { return factor * x + static_cast<double>(history.size()); }
};

TEST_F(TaskCallables, an_object_with_fields) {
    EXPECT_EQ(run(Scale{2.5, {1, 2, 3}}, 4.0), 13.0);
    const Scale kept{3, {}};
    EXPECT_EQ(run(kept, 2.0), 6.0);
}

struct Counter {
    int count = 10;
    int operator()() { return ++count; }
};

TEST_F(TaskCallables, an_object_that_changes_itself_changes_only_the_copy) {
    Counter counter;
    EXPECT_EQ(run(counter), 11);
    EXPECT_EQ(counter.count, 10);
}

struct Both {
    int value = 1;
    std::string operator()(int) { return "changing"; }
    std::string operator()(int) const { return "constant"; }
};

TEST_F(TaskCallables, of_two_operators_the_changing_one_is_called_as_on_the_callers_own_copy) {
    EXPECT_EQ(run(Both{}, 1), "changing");
}

struct Overloaded {
    std::string operator()(int) const { return "int"; }
    std::string operator()(const std::string&) const { return "text"; }
};

TEST_F(TaskCallables, an_overloaded_object_is_chosen_by_the_arguments) {
    EXPECT_EQ(run(Overloaded{}, 1), "int");
    EXPECT_EQ(run(Overloaded{}, std::string("x")), "text");
}

struct MoveOnly {
    std::unique_ptr<int> value;
    int operator()(int x) const { return *value + x; }
};

TEST_F(TaskCallables, an_object_that_can_only_be_moved) { EXPECT_EQ(run(MoveOnly{std::make_unique<int>(4)}, 3), 7); }

class Serialized {
public:
    Serialized() = default;
    explicit Serialized(std::string word) : word_(std::move(word)) {}
    std::string operator()(std::size_t times) const {
        std::string text;
        for (std::size_t i = 0; i < times; ++i) text += word_;
        return text;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(word_);
    }

private:
    std::string word_;
};

TEST_F(TaskCallables, an_object_with_a_serialize_member) { EXPECT_EQ(run(Serialized("ab"), 3U), "ababab"); }

std::string describe(const std::string& name, int count, double weight) {
    return name + " " + std::to_string(count) + " " + std::to_string(static_cast<int>(weight));
}

TEST_F(TaskCallables, partial) {
    EXPECT_EQ(run(mp::partial(add, 2), 3), 5);
    EXPECT_EQ(run(mp::partial(add, 2, 3)), 5);
    EXPECT_EQ(run(mp::partial(describe, "apples", 3), 2.0), "apples 3 2");
    EXPECT_EQ(run(mp::partial(mp::partial(describe, "pears"), 4), 5), "pears 4 5");
    EXPECT_EQ(run(mp::partial([](const std::string& a, std::string_view b) { return a + std::string(b); }, "x"), "y"),
              "xy");
    EXPECT_EQ(run(mp::partial(Scale{2, {}}, 4)), 8.0);
    EXPECT_EQ(run(mp::partial([](auto a, auto b) { return a * b; }, 3), 5), 15) << "generic";
    EXPECT_EQ(mp::partial(add, 2)(3), 5) << "it can be called here as well";
}

int consume(std::unique_ptr<int>&& a, std::unique_ptr<int> b) { return *a + *b; }

TEST_F(TaskCallables, partial_with_what_can_only_be_moved) {
    EXPECT_EQ(
        run([](std::vector<int>&& list, int x) { return static_cast<int>(list.size()) + x; }, std::vector{1, 2}, 3), 5);
    EXPECT_EQ(run(mp::partial([](std::vector<int>&& list, int x) { return static_cast<int>(list.size()) + x; },
                              std::vector{1, 2}),
                  3),
              5);
    EXPECT_EQ(run(consume, std::make_unique<int>(3), std::make_unique<int>(4)), 7);
}

// ---- a class with a run function ----

struct Greeter : mp::Runnable<Greeter> {
    std::string who = "world";
    int times = 1;
    std::string run() {
        std::string text;
        for (int i = 0; i < times; ++i) text += "hello " + who + ". ";
        who = "changed in the child";
        return text;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(who, times);
    }
};

TEST_F(TaskCallables, a_runnables_fields_travel_as_they_are_at_its_start) {
    Greeter greeter;
    greeter.who = "you";
    greeter.times = 2;
    greeter.start();
    EXPECT_EQ(greeter.result(), "hello you. hello you. ");
    EXPECT_EQ(greeter.who, "you");
    EXPECT_EQ(greeter.exit_status(), mp::ExitStatus::exited(0));
    EXPECT_THROW(greeter.start(), std::logic_error);
    EXPECT_EQ(greeter.result(), "hello you. hello you. ") << "a start that is refused spoils nothing";
}

struct Failing : mp::Runnable<Failing> {
    Failing() : Runnable(mp::ProcessOptions{.name = "failing", .err = mp::Redirect::null()}) {}
    void run() { throw std::domain_error("no"); }
    template <class Archive>
    void serialize(Archive&) {}
};

TEST_F(TaskCallables, a_runnable_may_throw_and_has_options) {
    Failing failing;
    EXPECT_EQ(failing.name(), "failing");
    failing.start();
    EXPECT_THROW(failing.result(), std::domain_error);
}

struct Family : mp::Runnable<Family> {
    int generations = 0;
    int run() {
        if (generations == 0) return 1;
        Family child;
        child.generations = generations - 1;
        child.start();
        return child.result() + 1;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(generations);
    }
};

TEST_F(TaskCallables, a_runnable_starts_runnables) {
    Family family;
    family.generations = 2;
    family.start();
    EXPECT_EQ(family.result(), 3);
}

}  // namespace
