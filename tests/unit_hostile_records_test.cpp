// What one side of a channel says there, whatever it is, makes the other read nothing but the channel, and believe
// nothing that cannot be.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <multiproc/errors.hpp>

#include "channel.hpp"
#include "result_record.hpp"
#include "task_record.hpp"

namespace multiproc {
namespace {

constexpr std::size_t capacity = 1024;

class HostileRecords : public testing::Test {
protected:
    template <class Record>
    Record& place() {
        return *reinterpret_cast<Record*>(lines_.get());
    }
    ResultRingParent::Record result(std::uint32_t size = ring_cell) {
        return {{size, RecordKind::result, false}, lines_->bytes};
    }
    TaskRingWorker::Record task(RecordKind kind, std::uint32_t size = ring_cell) {
        return {{size, kind, false}, lines_->bytes};
    }
    RingMemory ring() { return {lines_->bytes, capacity}; }

private:
    struct Line {
        alignas(cache_line) std::byte bytes[cache_line];
    };
    std::unique_ptr<Line[]> lines_{new Line[capacity / cache_line]()};
};

TEST_F(HostileRecords, AResultBeyondItsRecordIsRefused) {
    auto& record = place<ResultRecord>();
    record.progress = detail::TaskRun::pack(1, ring_cell - sizeof(ResultRecord));
    EXPECT_EQ(read_result_record(result()).size, ring_cell - sizeof(ResultRecord));
    record.progress = detail::TaskRun::pack(1, ring_cell - sizeof(ResultRecord) + 1);
    EXPECT_THROW(read_result_record(result()), CodecError);
    record.progress = detail::TaskRun::pack(0, 1);
    EXPECT_THROW(read_result_record(result()), CodecError);
}

// The block's id is looked for in the record, and nowhere else, also where the size of the result is a lie.
TEST_F(HostileRecords, TheNameOfABlockIsReadInTheRecordOnly) {
    auto& record = place<ResultRecord>();
    const auto named_at = [&](std::uint32_t offset, std::uint32_t size) {
        record.form = ResultRecord::names_block | offset << ResultRecord::block_offset_shift;
        record.progress = detail::TaskRun::pack(1, size);
    };
    named_at(0, 8);
    EXPECT_TRUE(read_result_record(result()).named_block.has_value());
    named_at(0xffffff, 0xffffffff);
    EXPECT_THROW(read_result_record(result()), CodecError);
    ResultRingHeader header{};
    EXPECT_EQ(read_unfinished_record(ResultRingParent(&header, ring())).count, 0u);
    // In a segment the size is another's business.
    record.form |= ResultRecord::in_segment;
    EXPECT_FALSE(read_result_record(result(2 * ring_cell)).named_block.has_value());
}

TEST_F(HostileRecords, TimesThatCannotBeAreNotBelieved) {
    auto& record = place<ResultRecord>();
    record.form = ResultRecord::timed;
    record.progress = detail::TaskRun::pack(1, 0);
    const ResultTiming timing{UINT64_MAX, UINT64_MAX, UINT64_MAX};
    std::memcpy(reinterpret_cast<std::byte*>(&record) + 2 * ring_cell - sizeof timing, &timing, sizeof timing);
    const ResultMessage message = read_result_record(result(2 * ring_cell));
    EXPECT_LE(message.in_calls, message.nanoseconds);
    EXPECT_LT(message.nanoseconds, std::uint64_t{1} << 60);
}

TEST_F(HostileRecords, ATaskBeyondItsRecordIsRefused) {
    auto& record = place<TaskRecord>();
    EXPECT_NO_THROW(read_task_record(task(RecordKind::task)));
    record.modules = ring_cell - sizeof(TaskRecord) + 1;
    EXPECT_THROW(read_task_record(task(RecordKind::task)), CodecError);
    record.modules = 0;
    record.number = UINT32_MAX;
    EXPECT_THROW(read_task_record(task(RecordKind::task)), CodecError);
}

TEST_F(HostileRecords, ArgumentsBeyondTheirRecordAreRefused) {
    auto& call = place<CallRecord>();
    call.prefix = 8;
    call.items = 16;
    EXPECT_EQ(read_call_record(task(RecordKind::call)).items.size(), 16u);
    call.prefix = UINT32_MAX;
    EXPECT_THROW(read_call_record(task(RecordKind::call)), CodecError);
    call.prefix = 8;
    call.items = UINT32_MAX - 4;
    EXPECT_THROW(read_call_record(task(RecordKind::call)), CodecError);
    EXPECT_THROW(read_call_record(task(static_cast<RecordKind>(999))), CodecError);
    EXPECT_THROW(read_call_record(task(RecordKind::call_in_segment)), CodecError);  // no room for where it is

    const std::byte message[64] = {};
    EXPECT_EQ(parts_of({{1, 64, 4096, 0, 1}, 16, 48}, message).items.data(), message + 16);
    EXPECT_THROW(parts_of({{1, 64, 4096, 0, 1}, 17, 48}, message), CodecError);
    EXPECT_THROW(parts_of({{1, 64, 4096, 0, 1}, 0, UINT64_MAX}, message), CodecError);
}

TEST_F(HostileRecords, MoreBlocksThanARecordHoldsAreRefused) {
    auto& attach = place<AttachRecord>();
    attach.count = attach.handles = 1;
    EXPECT_NO_THROW(read_attach_record(task(RecordKind::attach)));
    attach.handles = 2;
    EXPECT_THROW(read_attach_record(task(RecordKind::attach)), CodecError);
    attach.count = 60;
    EXPECT_THROW(read_attach_record(task(RecordKind::attach)), CodecError);
}

TEST_F(HostileRecords, AWorkerGoesBeyondNoRing) {
    TaskRingHeader header{};
    for (const RecordHead head : {RecordHead{0, RecordKind::skip, false}, RecordHead{1, RecordKind::call, false},
                                  RecordHead{capacity + ring_cell, RecordKind::call, false}}) {
        TaskRingWorker worker(&header, ring());
        place<RecordWord>() = head.pack();
        EXPECT_FALSE(worker.begin().has_value());
        EXPECT_FALSE(worker.is_sound());
    }
}

// Nobody clears what a ring is full of but the one who wrote it.
TEST_F(HostileRecords, SkippingHasAnEnd) {
    place<RecordWord>() = RecordHead{capacity, RecordKind::skip, false}.pack();
    ResultRingHeader results{};
    ResultRingParent parent(&results, ring());
    EXPECT_FALSE(parent.peek().has_value());
    EXPECT_FALSE(parent.is_sound());
    TaskRingHeader tasks{};
    TaskRingWorker worker(&tasks, ring());
    EXPECT_FALSE(worker.begin().has_value());
    EXPECT_FALSE(worker.is_sound());
}

TEST_F(HostileRecords, WhatIsSaidOfBlocksHasAnEnd) {
    const auto [link, childs] = os::HandleLink::create();
    TaskRingHeader header{};
    TaskRingParent tasks(&header, ring());
    BlockLedger ledger(nullptr);
    const ResultRingParent::Record refusal{{ring_cell, RecordKind::refuse, false}, result().place};
    EXPECT_THROW(ledger.accept(refusal, tasks, *link), CodecError);

    const ResultRingParent::Record attach{{ring_cell, RecordKind::attach, false}, result().place};
    auto& record = place<AttachRecord>();
    record.count = record.handles = 0;
    EXPECT_THROW(ledger.accept(attach, tasks, *link), CodecError);
    const auto known = BlockRegistry::get().create(64, "a test");
    record.count = 1;
    const BlockEntry entry{known->id(), 0};
    std::memcpy(&record + 1, &entry, sizeof entry);
    for (std::size_t i = 0; i < most_attachments; ++i) ASSERT_TRUE(ledger.accept(attach, tasks, *link));
    EXPECT_THROW(ledger.accept(attach, tasks, *link), CodecError);
}

// The descriptor of a task is called, so it has to be one.
int answer() { return 42; }
struct Data {
    std::uint64_t mark;
    void (*pointers[3])();
};
Data lookalike{0, {nullptr, nullptr, nullptr}};

TEST_F(HostileRecords, WhatIsNoTaskIsNotCalled) {
    const TaskRef& task = refer(detail::Task<int (*)()>::target(&answer));
    EXPECT_NO_THROW(resolve(task.place, task.modules));
    for (const std::uint64_t offset : {std::uint64_t{0}, task.place.descriptor + 8, task.place.descriptor + 1,
                                       task.place.function, std::uint64_t{1} << 40, ~std::uint64_t{7}}) {
        TaskPlace place = task.place;
        place.descriptor = offset;
        EXPECT_THROW(resolve(place, task.modules), BootstrapError) << offset;
    }
    TaskPlace place = task.place;
    place.descriptor = reinterpret_cast<std::uintptr_t>(&lookalike) - os::main_module().base;
    EXPECT_THROW(resolve(place, task.modules), BootstrapError);
    place = task.place;
    place.function = task.place.descriptor;
    EXPECT_THROW(resolve(place, task.modules), BootstrapError);
}

TEST(HostileChannel, WhatItNamesLiesInIt) {
    StartInfo info;
    info.name = "child";
    const auto adopt_changed = [&](auto change) {
        const Channel channel = Channel::create(Role::process, {4096, 4096}, info);
        change(channel.control());
        return Channel::adopt(os::duplicate(channel.handle())).info().name;
    };
    EXPECT_EQ(adopt_changed([](ControlBlock&) {}), "child");
    EXPECT_THROW(adopt_changed([](ControlBlock& control) { control.info_offset = UINT64_MAX; }), BootstrapError);
    EXPECT_THROW(adopt_changed([](ControlBlock& control) { control.info_size = UINT64_MAX; }), BootstrapError);
    EXPECT_THROW(adopt_changed([](ControlBlock& control) { control.tasks_offset += 8; }), BootstrapError);
    EXPECT_THROW(adopt_changed([](ControlBlock& control) { control.tasks_capacity = 4095; }), BootstrapError);
    EXPECT_THROW(adopt_changed([](ControlBlock& control) { control.results_capacity = 8192; }), BootstrapError);
    EXPECT_THROW(adopt_changed([](ControlBlock& control) { control.results_offset = 0; }), BootstrapError);
    EXPECT_THROW(adopt_changed([](ControlBlock& control) { control.size *= 2; }), std::system_error);
}

}  // namespace
}  // namespace multiproc
