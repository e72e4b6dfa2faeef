// SharedArray where a process is a copy of another, may have no more descriptors, or sends nonsense about its arrays.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "block_transfer.hpp"
#include "channel.hpp"
#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;
using Numbers = mp::SharedArray<int>;

class SharedArrayPosix : public mp::test::EachStartMethod {};

int first_of(const Numbers& numbers) { return numbers[0]; }
int echo(int number) { return number; }

// ---- a copy made by fork --------------------------------------------------------------------------------------------

Numbers global;

// How many of eight descriptors that this process opened are closed by dropping the array it got by being a copy.
int closed_by_dropping() {
    std::vector<int> mine;
    for (int i = 0; i < 8; ++i) mine.push_back(::open("/dev/null", O_RDONLY));
    const int value = global.empty() ? 7 : global[0];
    global = Numbers();
    const auto is_closed = [](int fd) { return ::fcntl(fd, F_GETFD) == -1; };
    return value == 7 ? static_cast<int>(std::ranges::count_if(mine, is_closed)) : -1;
}
Numbers give_global() { return global; }

TEST_F(SharedArrayPosix, in_a_copy_of_the_process_it_closes_nothing_of_others) {
    global = Numbers(10, 7);
    mp::Process process(closed_by_dropping);
    process.start();
    EXPECT_EQ(process.result(), 0);
    global = Numbers();
}

TEST_F(SharedArrayPosix, that_a_copy_has_without_being_given_it_cannot_be_handed_on) {
    global = Numbers(10, 7);
    mp::Process process(give_global);
    process.start();
    if (mp::test::method_under_test() == mp::StartMethod::fork) {
        EXPECT_THROW((void)process.result(), std::system_error);
    } else {
        EXPECT_TRUE(process.result().empty()) << "globals start fresh";
    }
    global = Numbers();
}

// ---- no more descriptors ----------------------------------------------------------------------------------------------

rlimit before{};
void allow_no_descriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit none = before;
    none.rlim_cur = 3;
    ::setrlimit(RLIMIT_NOFILE, &none);
}
void allow_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before); }

TEST_F(SharedArrayPosix, that_a_worker_could_not_take_in_is_sent_again) {
    mp::Pool pool(1);
    const Numbers numbers(10, 5);
    pool.apply(allow_no_descriptors);
    EXPECT_THROW((void)pool.apply(first_of, numbers), std::system_error);
    EXPECT_THROW((void)pool.apply(first_of, numbers), std::system_error);
    EXPECT_EQ(pool.apply(echo, 3), 3) << "only tasks that need it fail";
    pool.apply(allow_descriptors);
    EXPECT_EQ(pool.apply(first_of, numbers), 5);
}

// ---- a worker that sends nonsense -------------------------------------------------------------------------------------

// This worker's channel: found by its magic number among the mappings that Linux names in /proc.
mp::ControlBlock* own_channel() {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        if (line.find("memfd:") == std::string::npos) continue;
        std::uintptr_t begin = 0, end = 0;
        char dash = 0;
        std::istringstream(line) >> std::hex >> begin >> dash >> end;
        auto* const control = reinterpret_cast<mp::ControlBlock*>(begin);
        if (end - begin > sizeof(mp::ControlBlock) && control->role == mp::Role::pool_worker &&
            control->results_capacity == 256 * 1024)
            return control;
    }
    return nullptr;
}

// The place of the next record that the parent will look at.
std::byte* next_result(mp::ControlBlock& control) {
    const std::uint64_t head = control.results.head.load();
    return reinterpret_cast<std::byte*>(&control) + control.results_offset + (head & (control.results_capacity - 1));
}

void publish(std::byte* place, mp::RecordKind kind, std::uint32_t size) {
    *reinterpret_cast<std::uint64_t*>(place + size) = 0;
    reinterpret_cast<mp::RecordWord*>(place)->store(mp::RecordHead{size, kind}.pack());
}

enum class Nonsense : std::uint8_t {
    names_no_block,
    names_beyond,
    names_in_segment,
    attach,
    attach_many,
    detach,
    refuse
};

// Sends it in place of the result, and dies if the parent is to find an unfinished record.
int send_nonsense(Nonsense nonsense, bool dies) {
    mp::ControlBlock* const control = own_channel();
    if (control == nullptr) std::abort();  // elsewhere than on Linux
    std::byte* const place = next_result(*control);
    auto* const result = reinterpret_cast<mp::ResultRecord*>(place);
    auto* const attach = reinterpret_cast<mp::AttachRecord*>(place);
    constexpr std::uint32_t size = 512;
    std::fill_n(place + sizeof(mp::ResultRecord), size - sizeof(mp::ResultRecord), std::byte{0x77});
    result->progress = mp::detail::TaskRun::pack(1, 16);
    auto kind = mp::RecordKind::result;
    switch (nonsense) {
        case Nonsense::names_no_block: result->form = mp::ResultRecord::names_block; break;
        case Nonsense::names_beyond: result->form = mp::ResultRecord::names_block | 0xffffff00; break;
        case Nonsense::names_in_segment:
            result->form = mp::ResultRecord::names_block | mp::ResultRecord::in_segment | 0x7fffff00;
            break;
        case Nonsense::attach:
            kind = mp::RecordKind::attach;
            attach->count = attach->handles = 1;
            break;
        case Nonsense::attach_many:
            kind = mp::RecordKind::attach;
            attach->count = attach->handles = UINT32_MAX;
            break;
        case Nonsense::detach: kind = mp::RecordKind::detach; break;
        case Nonsense::refuse: kind = mp::RecordKind::refuse; break;
    }
    if (dies) ::raise(SIGKILL);
    publish(place, kind, size);
    return 1;
}

TEST_F(SharedArrayPosix, nonsense_about_arrays_costs_the_worker_that_sent_it_and_no_other) {
    mp::Pool pool(2);
    const Numbers numbers(10, 5);
    for (const Nonsense nonsense : {Nonsense::names_no_block, Nonsense::names_beyond, Nonsense::names_in_segment,
                                    Nonsense::attach, Nonsense::attach_many, Nonsense::detach, Nonsense::refuse}) {
        for (const bool dies : {false, true}) {
            // What the worker itself sends after that may still be taken for the result.
            try {
                pool.apply(send_nonsense, nonsense, dies);
            } catch (const mp::WorkerDied&) {
            } catch (const mp::CodecError&) {}
            const std::vector<int> firsts = pool.map(first_of, std::vector<Numbers>(20, numbers));
            ASSERT_EQ(firsts, std::vector<int>(20, 5)) << static_cast<int>(nonsense) << (dies ? " and death" : "");
        }
    }
}

}  // namespace
