// SharedArrays and very large items in queues: what is counted in descriptors, and what takes much memory.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "os.hpp"
#include "support/die.hpp"
#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;
using Numbers = mp::SharedArray<int>;
using Bytes = std::vector<char>;

using SyncSharedArrayPosix = mp::test::EachStartMethod;

TEST_F(SyncSharedArrayPosix, in_a_thousand_items_takes_one_descriptor_of_the_first_process) {
    const std::size_t before = mp::os::open_handle_count();
    const mp::Queue<Numbers> queue;
    const Numbers numbers(2000, 7);
    for (std::size_t i = 0; i < 1000; ++i) queue.put(numbers.slice(i, 10));
    EXPECT_LE(mp::os::open_handle_count(), before + 2);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(queue.get()[9], 7);
    EXPECT_LE(mp::os::open_handle_count(), before + 1);
}

// ---- descriptors that are closed, or that there are no more of ---------------------------------------------------------

// All that other processes are asked by.
void close_sockets() {
    struct stat facts {};
    for (int fd = 3; fd < 1024; ++fd)
        if (::fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode)) ::close(fd);
}

std::string error_of_put(const mp::Queue<Numbers>& queue, const Numbers& numbers) {
    try {
        queue.put(numbers);
        return "none";
    } catch (const std::system_error& error) { return error.what(); }
}

std::string put_without_sockets(mp::Queue<Numbers> queue, mp::Queue<int> others) {
    const Numbers numbers(10, 1);
    close_sockets();
    others.put(5);
    return error_of_put(queue, numbers);
}

TEST_F(SyncSharedArrayPosix, a_process_that_has_closed_its_descriptors_is_told_so) {
    const mp::Queue<Numbers> queue;
    const mp::Queue<int> others;
    mp::Process process(put_without_sockets, queue, others);
    process.start();
    EXPECT_EQ(others.get(), 5) << "what needs no descriptor goes on";
    const std::string error = process.result();
    EXPECT_NE(error.find("closed descriptors"), std::string::npos) << error;
    EXPECT_TRUE(queue.empty());
}

std::string get_without_descriptors(mp::Queue<Numbers> queue) {
    rlimit none{};
    ::getrlimit(RLIMIT_NOFILE, &none);
    const rlimit before = none;
    none.rlim_cur = 3;
    ::setrlimit(RLIMIT_NOFILE, &none);
    std::string error = "none";
    try {
        queue.get();
    } catch (const std::system_error& thrown) { error = thrown.what(); }
    ::setrlimit(RLIMIT_NOFILE, &before);
    return queue.get()[0] == 2 ? error : "the next item is wrong";
}

TEST_F(SyncSharedArrayPosix, a_receiver_without_descriptors_loses_one_item_with_an_error) {
    const mp::Queue<Numbers> queue;
    queue.put(Numbers(10, 1));
    queue.put(Numbers(10, 2));
    mp::Process process(get_without_descriptors, queue);
    process.start();
    const std::string error = process.result();
    EXPECT_NE(error.find("open files"), std::string::npos) << error;
}

std::string put_many(mp::Queue<Numbers> queue) {
    for (;;) {
        const std::string error = error_of_put(queue, Numbers(10, 1));
        if (error != "none") return error;
    }
}

TEST_F(SyncSharedArrayPosix, more_than_the_first_process_can_keep_is_an_error_of_put) {
    rlimit usual{};
    ::getrlimit(RLIMIT_NOFILE, &usual);
    rlimit tight = usual;
    tight.rlim_cur = 120;
    ::setrlimit(RLIMIT_NOFILE, &tight);
    {
        const mp::Queue<Numbers> queue;
        const std::string own = put_many(queue);
        EXPECT_NE(own.find("open files"), std::string::npos) << own;
        while (!queue.empty()) ASSERT_EQ(queue.get()[9], 1);
        mp::Process process(put_many, queue);
        process.start();
        const std::string error = process.result();
        EXPECT_NE(error.find("open files"), std::string::npos) << error;
        EXPECT_GT(queue.qsize(), 20u);
        while (!queue.empty()) ASSERT_EQ(queue.get()[9], 1);
    }
    ::setrlimit(RLIMIT_NOFILE, &usual);
}

std::string put_beyond_limit(mp::Queue<Bytes> queue) {
    rlimit files{};
    ::getrlimit(RLIMIT_FSIZE, &files);
    files.rlim_cur = 1 << 20;
    ::setrlimit(RLIMIT_FSIZE, &files);
    queue.put(Bytes(std::size_t{17} << 20, 'b'));
    return "put";
}

TEST_F(SyncSharedArrayPosix, a_large_item_under_a_limit_on_files_is_in_the_memory_of_all) {
    const mp::Queue<Bytes> queue;
    mp::Process process(put_beyond_limit, queue);
    process.start();
    EXPECT_EQ(process.result(), "put");
    EXPECT_EQ(queue.get().back(), 'b');
}

// ---- beyond the memory of all -----------------------------------------------------------------------------------------

// Nothing of it is touched, so it costs nothing.
mp::RawArray<char> most_of_the_memory_of_all() { return mp::RawArray<char>(std::size_t{1000} << 20); }

void put_and_die(mp::Queue<Bytes> queue, std::size_t size) {
    {
        Bytes bytes(size, 'a');
        bytes.back() = 'z';
        queue.put(bytes);
    }
    mp::test::die(mp::test::Death::kill);
}

TEST_F(SyncSharedArrayPosix, an_item_may_be_larger_than_what_the_memory_of_all_has_room_for) {
    // What is left of that is smaller. (An item of more than all of it differs in nothing but the time it takes.)
    const mp::RawArray<char> most_of_it = most_of_the_memory_of_all();
    const std::size_t size = std::size_t{40} << 20;
    const mp::Queue<Bytes> queue;
    mp::Process process(put_and_die, queue, size);
    process.start();
    process.join();
    const Bytes got = queue.get();
    ASSERT_EQ(got.size(), size);
    EXPECT_EQ(got.back(), 'z');
    for (std::size_t i = 0; i < size - 1; i += 1000) ASSERT_EQ(got[i], 'a') << i;
}

TEST_F(SyncSharedArrayPosix, items_that_the_memory_of_all_has_no_room_for_have_their_own) {
    const mp::RawArray<char> most_of_it = most_of_the_memory_of_all();
    constexpr std::size_t size = std::size_t{7} << 20;
    constexpr char count = 6;
    const mp::Queue<Bytes> queue;
    Bytes bytes(size, 'a');
    for (char i = 0; i < count; ++i) {
        bytes.back() = i;
        queue.put(bytes);
    }
    for (char i = 0; i < count; ++i) {
        const Bytes got = queue.get();
        ASSERT_EQ(got.size(), size);
        ASSERT_EQ(got.back(), i);
    }
}

}  // namespace
