// What the function throws.
#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;

using ProcessErrors = mp::test::EachStartMethod;

int throw_out_of_range(int index) { throw std::out_of_range("index " + std::to_string(index) + " is too big"); }

TEST_F(ProcessErrors, an_uncaught_exception_gives_exit_status_1_and_its_text_on_stderr) {
    const mp::test::TemporaryDirectory directory;
    const std::string path = directory.file("err");
    mp::Process p(mp::ProcessOptions{.name = "thrower", .err = mp::Redirect::file(path)}, throw_out_of_range, 7);
    p.start();
    p.join();
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(1));
    const std::string text = mp::test::read_file(path);
    EXPECT_NE(text.find("index 7 is too big"), std::string::npos) << text;
    EXPECT_NE(text.find("out_of_range"), std::string::npos) << text;
    EXPECT_NE(text.find("thrower"), std::string::npos) << text;
}

TEST_F(ProcessErrors, result_throws_it_as_its_own_type_each_parent_type_and_as_remote_error) {
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::null()}, throw_out_of_range, 7);
    p.start();
    EXPECT_THROW(p.result(), std::out_of_range);
    EXPECT_THROW(p.result(), std::logic_error);
    EXPECT_THROW(p.result(), mp::RemoteError);
    try {
        p.result();
        FAIL() << "it must throw";
    } catch (const std::exception& error) {
        EXPECT_STREQ(error.what(), "index 7 is too big");
        const auto* remote = dynamic_cast<const mp::RemoteError*>(&error);
        ASSERT_NE(remote, nullptr);
        EXPECT_EQ(remote->pid(), p.pid());
        EXPECT_EQ(remote->type_name(), "std::out_of_range");
        EXPECT_EQ(remote->text(), "index 7 is too big");
        EXPECT_NE(remote->task().find("int"), std::string::npos) << remote->task();
    }
}

void throw_system_error() { throw std::system_error(std::make_error_code(std::errc::no_space_on_device), "writing"); }

TEST_F(ProcessErrors, a_system_error_keeps_its_code) {
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::null()}, throw_system_error);
    p.start();
    try {
        p.result();
        FAIL() << "it must throw";
    } catch (const std::system_error& error) { EXPECT_EQ(error.code(), std::errc::no_space_on_device); }
}

struct Unknown {};
void throw_int() { throw 42; }
void throw_unknown() { throw Unknown{}; }

TEST_F(ProcessErrors, what_is_no_exception_arrives_as_runtime_error_with_its_type_name) {
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::null()}, throw_int);
    p.start();
    EXPECT_THROW(p.result(), std::runtime_error);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(1));
    mp::Process q(mp::ProcessOptions{.err = mp::Redirect::null()}, throw_unknown);
    q.start();
    try {
        q.result();
        FAIL() << "it must throw";
    } catch (const mp::RemoteError& error) {
        EXPECT_NE(error.type_name().find("Unknown"), std::string::npos) << error.type_name();
    }
}

struct Unencodable {
    int value = 0;
    template <class Archive>
    void save(Archive&) const {
        throw std::runtime_error("this cannot be saved");
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(value);
    }
};
Unencodable return_unencodable() { return {}; }

TEST_F(ProcessErrors, a_result_that_cannot_be_encoded_is_an_error) {
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::null()}, return_unencodable);
    p.start();
    EXPECT_THROW(p.result(), std::runtime_error);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(1));
}

struct Undecodable {
    int value = 0;
    template <class Archive>
    void save(Archive& archive) const {
        archive(value);
    }
    template <class Archive>
    void load(Archive&) {
        throw std::runtime_error("this cannot be loaded");
    }
};

TEST_F(ProcessErrors, an_argument_that_cannot_be_decoded_is_an_error) {
    mp::Process p(
        mp::ProcessOptions{.err = mp::Redirect::null()}, [](const Undecodable&) { return 1; }, Undecodable{});
    p.start();
    EXPECT_THROW(p.result(), std::runtime_error);
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(1));
}

TEST_F(ProcessErrors, an_argument_that_cannot_be_encoded_is_an_error_at_once) {
    EXPECT_THROW(mp::Process([](const Unencodable&) { return 1; }, Unencodable{}), std::runtime_error);
}

void nested() {
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::null()}, throw_out_of_range, 3);
    p.start();
    p.result();
}

TEST_F(ProcessErrors, an_error_of_a_grandchild_comes_all_the_way) {
    mp::Process p(mp::ProcessOptions{.err = mp::Redirect::null()}, nested);
    p.start();
    EXPECT_THROW(p.result(), std::out_of_range);
}

}  // namespace
