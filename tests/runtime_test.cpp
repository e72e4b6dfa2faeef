// The table of all processes of a program: whose entry is whose, and what the dead leave in it.
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/errors.hpp>
#include <multiproc/process.hpp>

#include "runtime.hpp"
#include "support/each_start_method.hpp"

namespace {

namespace mp = multiproc;
using mp::Runtime;

class RuntimeTable : public mp::test::EachStartMethod {};

// Takes every entry that is left and gives them back; how many there were.
std::size_t free_entries() {
    std::vector<Runtime::ProcessRef> all;
    try {
        for (;;) all.push_back(Runtime::get().add_process());
    } catch (const mp::StartError&) {}
    for (const Runtime::ProcessRef process : all) Runtime::get().remove_process(process);
    return all.size();
}

TEST_F(RuntimeTable, AnEntryIsGivenBackOnlyByItsPresentUser) {
    Runtime& runtime = Runtime::get();
    const Runtime::ProcessRef first = runtime.add_process();
    const std::size_t with_one = runtime.process_count();
    runtime.remove_process(first);
    const Runtime::ProcessRef second = runtime.add_process();
    ASSERT_EQ(second.index, first.index);
    runtime.remove_process(first);  // somebody who learns late that the first user has ended
    EXPECT_EQ(runtime.process_count(), with_one);
    runtime.remove_process(second);
    EXPECT_EQ(runtime.process_count(), with_one - 1);
}

TEST_F(RuntimeTable, SlotsGoWithTheEntry) {
    Runtime& runtime = Runtime::get();
    const std::size_t before = runtime.slot_count();
    const Runtime::ProcessRef process = runtime.add_process();
    runtime.claim_slot(process.index);
    runtime.claim_slot(process.index);
    EXPECT_EQ(runtime.slot_count(), before + 2);
    runtime.remove_process(process);
    EXPECT_EQ(runtime.slot_count(), before);
}

TEST_F(RuntimeTable, WhatADeadProcessWasAtWorkOnIsSweptWhenRoomIsNeeded) {
    const std::size_t before = free_entries();
    mp::Process<void> p([] {
        for (int i = 0; i < 100; ++i) Runtime::get().add_process();
    });
    p.start();
    p.join();
    EXPECT_EQ(p.exit_status(), mp::ExitStatus::exited(0));
    EXPECT_EQ(free_entries(), before);
}

TEST_F(RuntimeTable, AChildAndItsChildrenHaveEntriesInTheSameTable) {
    const std::size_t before = Runtime::get().process_count();
    mp::Process<std::size_t> p([] {
        mp::Process<std::size_t> grandchild([] { return Runtime::get().process_count(); });
        grandchild.start();
        return grandchild.result();
    });
    p.start();
    EXPECT_EQ(p.result(), before + 2);
    p.join();
    EXPECT_TRUE(mp::test::holds_soon([&] { return Runtime::get().process_count() == before; }));
}

}  // namespace
