// What a child sees of its parent's surroundings, and what options change: each as it is at the child's own start.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/environment.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;
namespace fs = std::filesystem;
using mp::test::read_file;

using ProcessOptions = mp::test::EachStartMethod;

std::string directory_now() { return fs::current_path().string(); }
std::optional<std::string> variable(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
}

// Leaves the test's directory as it was.
class WorkingDirectory {
public:
    explicit WorkingDirectory(const fs::path& path) : before_(fs::current_path()) { fs::current_path(path); }
    ~WorkingDirectory() { fs::current_path(before_); }

private:
    fs::path before_;
};

TEST_F(ProcessOptions, a_child_works_in_the_directory_its_parent_is_in_at_its_start) {
    const mp::test::TemporaryDirectory temporary;
    const fs::path expected = fs::canonical(temporary.path());
    mp::Process made_before(directory_now);
    {
        const WorkingDirectory there(temporary.path());
        made_before.start();
        EXPECT_EQ(fs::canonical(made_before.result()), expected);
    }
    mp::Process p(directory_now);
    p.start();
    EXPECT_EQ(fs::canonical(p.result()), fs::canonical(fs::current_path()));
}

TEST_F(ProcessOptions, cwd_sets_the_directory) {
    const mp::test::TemporaryDirectory temporary;
    mp::Process p(mp::ProcessOptions{.cwd = temporary.path().string()}, directory_now);
    p.start();
    EXPECT_EQ(fs::canonical(p.result()), fs::canonical(temporary.path()));
}

TEST_F(ProcessOptions, a_cwd_that_does_not_exist_is_an_error_at_start) {
    const mp::test::TemporaryDirectory temporary;
    mp::Process p(mp::ProcessOptions{.cwd = temporary.file("nothing")}, directory_now);
    EXPECT_THROW(p.start(), mp::StartError);
}

TEST_F(ProcessOptions, a_child_has_the_environment_its_parent_has_at_its_start) {
    mp::test::set_variable("MULTIPROC_TEST_VARIABLE", "one = ä");
    mp::Process p(variable, "MULTIPROC_TEST_VARIABLE");
    p.start();
    EXPECT_EQ(p.result(), "one = ä");
    mp::test::set_variable("MULTIPROC_TEST_VARIABLE", "two");
    mp::Process q(variable, "MULTIPROC_TEST_VARIABLE");
    q.start();
    EXPECT_EQ(q.result(), "two");
    mp::test::unset_variable("MULTIPROC_TEST_VARIABLE");
    mp::Process r(variable, "MULTIPROC_TEST_VARIABLE");
    r.start();
    EXPECT_EQ(r.result(), std::nullopt);
}

TEST_F(ProcessOptions, env_replaces_the_environment) {
    mp::test::set_variable("MULTIPROC_TEST_OTHER", "there");
    std::vector<std::string> env{"MULTIPROC_TEST_VARIABLE=a=b", "MULTIPROC_TEST_EMPTY="};
    // Windows programs do not start without this one.
    if (const char* root = std::getenv("SystemRoot")) env.push_back(std::string("SystemRoot=") + root);
    mp::Process p(mp::ProcessOptions{.env = env}, [] {
        return std::vector{variable("MULTIPROC_TEST_VARIABLE"), variable("MULTIPROC_TEST_OTHER")};
    });
    p.start();
    EXPECT_EQ(p.result(), (std::vector<std::optional<std::string>>{"a=b", std::nullopt}));
    mp::test::unset_variable("MULTIPROC_TEST_OTHER");
}

TEST_F(ProcessOptions, an_environment_entry_that_is_no_variable_is_an_error_at_start) {
    using namespace std::string_literals;
    for (const std::string& entry : {""s, "NAME"s, "="s, "NAME=a\0b"s}) {
        mp::Process p(mp::ProcessOptions{.env = std::vector{entry}}, directory_now);
        EXPECT_THROW(p.start(), std::invalid_argument) << entry;
    }
}

TEST_F(ProcessOptions, the_librarys_own_variable_cannot_be_given) {
    std::vector<std::string> env = mp::test::all_variables();
    env.push_back("MULTIPROC_BOOTSTRAP=1 c 1 0 0 0 0");
    mp::Process p(mp::ProcessOptions{.env = env},
                  [] { return mp::test::variables_with_prefix("MULTIPROC_BOOTSTRAP"); });
    p.start();
    EXPECT_EQ(p.result(), std::vector<std::string>{});
}

std::vector<std::string> library_variables() {
    mp::Process grandchild([] { return mp::test::variables_with_prefix("MULTIPROC_BOOTSTRAP"); });
    grandchild.start();
    std::vector<std::string> all = mp::test::variables_with_prefix("MULTIPROC_BOOTSTRAP");
    for (std::string& name : grandchild.result()) all.push_back(std::move(name));
    return all;
}

TEST_F(ProcessOptions, the_librarys_own_variable_is_gone_in_children_and_grandchildren) {
    EXPECT_EQ(mp::test::variables_with_prefix("MULTIPROC_BOOTSTRAP"), std::vector<std::string>{});
    mp::Process p(library_variables);
    p.start();
    EXPECT_EQ(p.result(), std::vector<std::string>{});
}

void greet(const std::string& who) {
    std::cout << "hello " << who << '\n';
    std::cerr << "psst " << who << '\n';
}

TEST_F(ProcessOptions, out_and_err_go_to_files) {
    const mp::test::TemporaryDirectory directory;
    const std::string out = directory.file("out ä"), err = directory.file("err");
    for (int i = 0; i < 2; ++i) {
        mp::Process p(mp::ProcessOptions{.out = mp::Redirect::file(out), .err = mp::Redirect::file(err, true)}, greet,
                      "you");
        p.start();
        p.join();
        EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
    }
    EXPECT_EQ(mp::test::without_returns(read_file(out)), "hello you\n");
    EXPECT_EQ(mp::test::without_returns(read_file(err)), "psst you\npsst you\n");
}

TEST_F(ProcessOptions, out_and_err_may_be_the_same_file) {
    const mp::test::TemporaryDirectory directory;
    const std::string both = directory.file("both");
    mp::test::write_file(both, "");
    mp::Process p(mp::ProcessOptions{.out = mp::Redirect::file(both, true), .err = mp::Redirect::file(both, true)},
                  greet, "all");
    p.start();
    p.join();
    EXPECT_EQ(mp::test::without_returns(read_file(both)).size(), std::string("hello all\npsst all\n").size());
}

TEST_F(ProcessOptions, a_file_that_cannot_be_opened_is_an_error_at_start) {
    const mp::test::TemporaryDirectory directory;
    mp::Process p(mp::ProcessOptions{.out = mp::Redirect::file(directory.file("no such directory/out"))}, greet, "you");
    EXPECT_THROW(p.start(), std::system_error);
    EXPECT_FALSE(p.is_alive());
}

TEST_F(ProcessOptions, the_start_method_can_be_chosen_for_one_process) {
    for (const mp::StartMethod method : mp::get_all_start_methods()) {
        mp::Process p(mp::ProcessOptions{.start_method = method}, [] { return 6; });
        p.start();
        EXPECT_EQ(p.result(), 6) << to_string(method);
    }
    allow(1, 8);  // a fork server, if this was its first use
}

}  // namespace
