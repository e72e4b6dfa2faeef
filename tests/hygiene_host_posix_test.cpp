// Hosts that ignore SIGCHLD, reap every child themselves, fork on their own or have closed all descriptors.
#include <string>
#include <vector>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/run_program.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;
namespace test = mp::test;

// What all of them must find; a death by a signal may go unseen where the host took the status.
std::string expected(const std::string& killed) {
    return "16 exited with code 0\n3 exited with code 0\n" + killed + "\nthrown exited with code 1\n1 4 9 \n";
}

class HygieneHost : public test::EachStartMethod {
protected:
    static std::string found_in(const std::string& mode, const std::vector<std::string>& env = {}) {
        const test::TemporaryDirectory directory;
        const std::string path = directory.file("found");
        const test::ProgramResult result =
            test::run_program(test::program_path("host_program_posix"),
                              {{mode, std::string(to_string(mp::get_start_method())), path}, env});
        EXPECT_FALSE(result.timed_out);
        EXPECT_EQ(result.status, mp::ExitStatus::exited(0)) << result.err;
        EXPECT_EQ(result.err, "");
        return test::read_file(path);
    }
    static void expect_right_statuses(const std::string& found) {
        if (found.find("nobody saw") != std::string::npos) {
            EXPECT_EQ(found, expected("ended in a way that nobody saw"));
        } else {
            EXPECT_EQ(found, expected("killed by SIGKILL"));
        }
    }
};

TEST_F(HygieneHost, that_ignores_sigchld_gets_right_statuses) { expect_right_statuses(found_in("ignores_sigchld")); }

TEST_F(HygieneHost, that_reaps_every_child_gets_right_statuses) { expect_right_statuses(found_in("reaps_all")); }

TEST_F(HygieneHost, that_closed_all_descriptors_gets_right_statuses) {
    EXPECT_EQ(found_in("closed_all"), expected("killed by SIGKILL"));
}

TEST_F(HygieneHost, that_closes_all_descriptors_while_children_run_is_told_of_their_ends_and_not_before) {
    EXPECT_EQ(found_in("closes_while_children_run"), "0 ended early, 12 right, at rest\n");
}

TEST_F(HygieneHost, that_closed_all_descriptors_keeps_no_arrays_and_children_that_put_one_are_told_so) {
    const std::string found = found_in("closes_while_arrays_travel");
    EXPECT_NE(found.find("has closed descriptors"), std::string::npos) << found;
}

TEST_F(HygieneHost, that_lowers_the_limit_on_descriptors_while_children_run_is_told_of_their_ends) {
    EXPECT_EQ(found_in("lowers_limit_while_children_run"),
              "0 ended early, 12 right, at rest\n" + expected("killed by SIGKILL"));
}

TEST_F(HygieneHost, that_lacks_descriptors_at_the_first_start_gets_an_error_and_can_start_later) {
    EXPECT_EQ(found_in("lacks_descriptors_at_first"), "an error\n" + expected("killed by SIGKILL"));
}

TEST_F(HygieneHost, with_threads_before_main_and_a_broken_stderr_is_not_ended_by_the_warning) {
    EXPECT_EQ(found_in("breaks_stderr", {"MULTIPROC_TEST_THREAD_BEFORE_MAIN=1"}), expected("killed by SIGKILL"));
}

TEST_F(HygieneHost, that_forks_on_its_own_finds_the_objects_inert_in_the_copy_and_may_start_new_ones_there) {
    EXPECT_EQ(found_in("forks"), expected("killed by SIGKILL"));
}

}  // namespace
