// The fixture of tests that hold for every start method: CTest runs the test program once per method and names it in
// the environment variable MULTIPROC_TEST_START_METHOD.
//
//     using PoolMap = multiproc::test::EachStartMethod;
//     TEST_F(PoolMap, keeps_the_order_of_the_input) { ... }
//
// After each test it checks that nothing is left: no listed child, no process or zombie, no descriptor or HANDLE, no
// shared memory, no shared object in any process of the program, and no temporary file.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/process.hpp>
#include <multiproc/start_method.hpp>

#include "leftovers.hpp"
#include "own_temporary.hpp"

namespace multiproc::test {

inline StartMethod method_under_test() {
    const char* name = std::getenv("MULTIPROC_TEST_START_METHOD");
    return name == nullptr || *name == '\0' ? StartMethod::automatic : start_method_from(name);
}

// Waits until `condition()` holds and returns whether it did: for what no event tells, as a handle that a thread of the
// library closes a moment after it has reported an end.
template <class Condition>
bool holds_soon(Condition condition, std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    const auto give_up = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > give_up) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

class EachStartMethod : public testing::Test {
protected:
    void SetUp() override {
        set_start_method(method_under_test());
        temporary_.emplace();
        names_ = named_segments();
        // The library makes some things once per process (the runtime, the fork server, the thread that learns of
        // ends); a first process brings them to life before anything is counted.
        Process<void> first([] {});
        first.start();
        first.join();
        const std::uint32_t pid = first.pid();
        first.close();
        ASSERT_TRUE(holds_soon([pid] { return std::ranges::count(descendants(), pid) == 0; }));
        handles_ = open_handles() + kept_handles_per_sleeper() * 8;
        processes_ = descendants().size();
        // The memory of shared objects is mapped when it is first needed; looking whether it is empty is such a need.
        segments_ = mapped_segments() + (objects_are_mapped_ ? 0 : 1);
    }

    void TearDown() override {
        set_start_method(method_under_test());
        EXPECT_TRUE(active_children().empty()) << "processes are still running";
        EXPECT_TRUE(holds_soon([this] { return descendants().size() <= processes_; }))
            << descendants().size() << " processes or zombies below this one, " << processes_ << " before the test";
        EXPECT_TRUE(holds_soon([this] { return open_handles() <= handles_; }))
            << open_handles() << " open handles, " << handles_ << " before the test";
        EXPECT_TRUE(holds_soon([this] { return shared_objects() <= objects_; }))
            << shared_objects() << " shared objects, " << objects_ << " before the test";
        objects_ = shared_objects();
        objects_are_mapped_ = true;
        EXPECT_TRUE(holds_soon([this] { return mapped_segments() <= segments_; }))
            << mapped_segments() << " pieces of shared memory are mapped, " << segments_ << " before the test";
        EXPECT_TRUE(holds_soon([this] { return new_names().empty(); }))
            << "shared memory has a name: " << testing::PrintToString(new_names());
        EXPECT_TRUE(holds_soon([this] { return temporary_->files().empty(); }))
            << "temporary files: " << testing::PrintToString(temporary_->files());
        temporary_.reset();
    }

    // A test with more than a few children at once says how many.
    void allow_sleepers(std::size_t count) { handles_ += kept_handles_per_sleeper() * count; }
    // A test that uses another start method too, or restarts what the library keeps, says how much more may stay.
    void allow(std::size_t more_processes, std::size_t more_handles) {
        processes_ += more_processes;
        handles_ += more_handles;
    }

private:
    std::vector<std::string> new_names() const {
        std::vector<std::string> names = named_segments();
        std::erase_if(names, [this](const std::string& name) { return std::ranges::count(names_, name) != 0; });
        return names;
    }

    std::optional<OwnTemporary> temporary_;
    std::size_t handles_ = 0;
    std::size_t processes_ = 0;
    std::size_t segments_ = 0;
    std::vector<std::string> names_;
    static inline std::size_t objects_ = 0;
    static inline bool objects_are_mapped_ = false;
};

}  // namespace multiproc::test
