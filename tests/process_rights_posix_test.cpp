// Programs that change their own rights: their children have those of the moment of their start, and never start children
// without end. What only root can do is done where the tests run as root; else the program stays who it is, and the
// children must be as it is all the same.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/run_program.hpp"
#include "support/temporary.hpp"

namespace {

namespace fs = std::filesystem;
namespace mp = multiproc;
namespace test = mp::test;

class ProcessRights : public test::EachStartMethod {
protected:
    void SetUp() override {
        EachStartMethod::SetUp();
        // Where everybody may run it.
        fs::permissions(directory_.path(), fs::perms::all);
        program_ = directory_.file("rights_program");
        fs::copy_file(test::program_path("rights_program_posix"), program_);
    }
    static bool is_root() { return ::geteuid() == 0; }
    static bool forks() { return mp::get_start_method() == mp::StartMethod::fork; }

    test::ProgramResult run(const std::string& mode, const std::string& argument = {},
                            const std::vector<std::string>& env = {}) const {
        test::ProgramResult result =
            test::run_program(program_, {{mode, std::string(to_string(mp::get_start_method())), argument}, env});
        EXPECT_FALSE(result.timed_out);
        return result;
    }
    static void give_to_nobody(const std::string& path) {
        if (is_root()) { EXPECT_EQ(::chown(path.c_str(), 65534, 65534), 0); }
    }
    void make_set_uid() const {
        give_to_nobody(program_);
        EXPECT_EQ(::chmod(program_.c_str(), 04755), 0);
    }
    static void expect_refused(const test::ProgramResult& result) {
        EXPECT_EQ(result.out.find("StartError: multiproc: a program with raised or temporarily changed rights"), 0U)
            << result.out << result.err;
    }

    const test::TemporaryDirectory directory_;
    std::string program_;
};

TEST_F(ProcessRights, changed_for_a_while_are_refused_where_children_would_ignore_their_bootstrap) {
    const test::ProgramResult result = run("effective");
    if (is_root() && !forks()) {
        expect_refused(result);
    } else {
        EXPECT_EQ(result.out.find("user " + std::to_string(is_root() ? 65534 : ::geteuid())), 0U) << result.err;
    }
}

TEST_F(ProcessRights, of_a_set_uid_program_are_refused_at_the_start) {
    make_set_uid();
    const test::ProgramResult result = run("start");
    if (is_root() && !forks()) {
        expect_refused(result);
    } else {
        EXPECT_EQ(result.out.find("user " + std::to_string(is_root() ? 65534 : ::geteuid())), 0U) << result.err;
    }
}

TEST_F(ProcessRights, of_a_set_uid_program_that_finds_a_bootstrap_of_its_parent_end_it) {
    make_set_uid();
    const test::ProgramResult result =
        run("start", {}, {"MULTIPROC_BOOTSTRAP=1 c " + std::to_string(::getpid()) + " 0 0 0 4"});
    // Without other rights it takes the variable at its word, and misses the descriptors.
    EXPECT_EQ(result.status, mp::ExitStatus::exited(1));
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find(is_root() ? "takes no orders from its environment" : "closed the descriptors"),
              std::string::npos)
        << result.err;
}

TEST_F(ProcessRights, that_were_given_up_do_not_come_back_in_a_grandchild) {
    const test::ProgramResult result = run("grandchild");
    EXPECT_EQ(result.out, "the same\n") << result.err;
}

TEST_F(ProcessRights, that_were_given_up_do_not_come_back_in_a_child) {
    const test::ProgramResult result = run("drops");
    EXPECT_EQ(result.out, "the same\n") << result.err;
}

TEST_F(ProcessRights, that_alternate_do_not_gather_fork_servers) {
    const test::ProgramResult result = run("alternates");
    EXPECT_EQ(result.out, "done\n") << result.err;
}

TEST_F(ProcessRights, that_do_not_suffice_for_the_directory_are_an_error_at_the_start) {
    const std::string locked = directory_.file("locked");
    ASSERT_EQ(::mkdir(locked.c_str(), 0700), 0);
    give_to_nobody(locked);
    EXPECT_EQ(run("directory", locked).out, fs::canonical(locked).string() + "\n");
    ASSERT_EQ(::chmod(locked.c_str(), 0600), 0);
    const test::ProgramResult result = run("directory", locked);
    EXPECT_EQ(result.out.find("StartError: "), 0U) << result.out << result.err;
    EXPECT_NE(result.out.find(locked), std::string::npos) << result.out;
    EXPECT_EQ(result.out.find("limit"), std::string::npos) << result.out;
}

}  // namespace
