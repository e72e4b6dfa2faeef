// The right function runs, however alike functions are and wherever they lie.
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/load_library.hpp"
#include "support/run_program.hpp"
#include "support/two_sources.hpp"

namespace {

namespace mp = multiproc;
namespace test = mp::test;

using TaskIdentity = mp::test::EachStartMethod;

template <class F, class... Args>
auto run(F&& f, Args&&... args) {
    mp::Process p(std::forward<F>(f), std::forward<Args>(args)...);
    p.start();
    return p.result();
}

TEST_F(TaskIdentity, two_lambdas_of_one_signature_in_one_function) {
    const auto first = [](int x) { return x + 1; };
    const auto second = [](int x) { return x + 2; };
    EXPECT_EQ(run(first, 10), 11);
    EXPECT_EQ(run(second, 10), 12);
}

// Different functions to the language; a linker may make them one, and then running either is right.
int same_body_a(int x) { return x * 5 + 1; }
int same_body_b(int x) { return x * 5 + 1; }
// The same code for other types: the result must be read as what it is.
std::uint32_t as_unsigned(std::uint32_t x) { return x; }
std::int32_t as_signed(std::int32_t x) { return x; }

TEST_F(TaskIdentity, functions_with_identical_bodies) {
    EXPECT_EQ(run(same_body_a, 2), 11);
    EXPECT_EQ(run(same_body_b, 3), 16);
    EXPECT_EQ(run(as_unsigned, 0xffffffffU), 0xffffffffU);
    EXPECT_EQ(run(as_signed, -1), -1);
    EXPECT_EQ(run([](int x) { return x; }, 1), 1);
    EXPECT_EQ(run([](unsigned x) { return x; }, 2U), 2U);
}

std::string who_am_i() { return "this"; }
struct Local {
    std::string suffix;
    std::string operator()() const { return who_am_i() + suffix; }
};

TEST_F(TaskIdentity, things_of_one_name_in_two_sources) {
    EXPECT_EQ(run(who_am_i), "this");
    EXPECT_EQ(run(Local{"!"}), "this!");
    EXPECT_EQ(test::run_static_in_other_source(), "other other other!");
    EXPECT_EQ(run(who_am_i), "this");
}

TEST_F(TaskIdentity, a_lambda_in_a_header_used_by_two_sources) {
    EXPECT_EQ(run(test::doubled, 4), 8);
    EXPECT_EQ(test::run_doubled_in_other_source(5), 10);
    EXPECT_EQ(run(test::tripled_by(), 4), 12);
    EXPECT_EQ(test::run_tripled_in_other_source(5), 15);
}

template <int N>
int plus(int x) {
    return x + N;
}

TEST_F(TaskIdentity, instances_of_a_template) {
    EXPECT_EQ(run(plus<1>, 1), 2);
    EXPECT_EQ(run(plus<2>, 1), 3);
}

std::string library_path() { return MULTIPROC_TEST_MODULE_DIR "/task_module" MULTIPROC_TEST_MODULE_SUFFIX; }

TEST_F(TaskIdentity, a_function_in_a_shared_library) {
    const test::LoadedLibrary library(library_path());
    auto* const triple = library.function<int(int)>("task_module_triple");
    auto* const describe = library.function<std::string(const std::string&)>("task_module_describe");
    EXPECT_EQ(run(triple, 14), 42);
    EXPECT_EQ(run(describe, "it"), "it, says the module");
    EXPECT_EQ(run(plus<1>, 41), 42) << "of the same signature, but of the executable";
    mp::Pool pool({.workers = 2});
    EXPECT_EQ(pool.map(triple, std::vector{1, 2, 3}), (std::vector{3, 6, 9}));
}

TEST_F(TaskIdentity, a_program_optimized_at_link_time_and_without_unused_sections) {
    for (const mp::StartMethod method : mp::get_all_start_methods()) {
        const test::ProgramResult result =
            test::run_program(test::program_path("optimized_program"), {.args = {std::string(to_string(method))}});
        EXPECT_FALSE(result.timed_out);
        EXPECT_EQ(result.status, mp::ExitStatus::exited(0)) << result.out << result.err;
        EXPECT_EQ(result.out.substr(0, 2), "ok") << result.out;
    }
}

TEST_F(TaskIdentity, a_program_whose_identical_functions_the_linker_folded) {
    for (const mp::StartMethod method : mp::get_all_start_methods()) {
        const test::ProgramResult result =
            test::run_program(test::program_path("folded_program"), {.args = {std::string(to_string(method))}});
        EXPECT_FALSE(result.timed_out);
        EXPECT_EQ(result.status, mp::ExitStatus::exited(0)) << result.out << result.err;
        EXPECT_EQ(result.out.substr(0, 2), "ok") << result.out;
    }
}

#if defined(MULTIPROC_SHARED)
TEST_F(TaskIdentity, code_hosted_in_a_foreign_program_runs_in_multiproc_worker) {
    const test::LoadedLibrary library(library_path());
    auto* const run_hosted = library.function<int(const char*, int)>("task_module_run_hosted");
    EXPECT_EQ(run_hosted(MULTIPROC_TEST_WORKER, 5), 25);
    const test::ProgramResult by_hand = test::run_program(MULTIPROC_TEST_WORKER);
    EXPECT_EQ(by_hand.status, mp::ExitStatus::exited(2));
    EXPECT_NE(by_hand.err.find("set_executable"), std::string::npos);
}
#endif

}  // namespace
