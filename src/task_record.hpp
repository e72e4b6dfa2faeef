// Reading what a parent wrote into a task ring. The child believes its parent; but the memory is also the child's own,
// and a task that wrote past the end of something of its own must not become a jump or a read somewhere else.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "block_transfer.hpp"
#include "ring.hpp"
#include "task_ref.hpp"

namespace multiproc {

// What a task's number means.
struct TaskMeaning {
    std::uint32_t number = 0;
    TaskPlace place;
    std::string modules;
};

struct CallRequest {
    std::uint64_t id = 0;
    std::uint32_t task = 0;
    std::uint32_t count = 0;
    std::uint32_t flags = 0;
    // In the ring...
    std::span<const std::byte> fields;
    std::span<const std::byte> items;
    // ... or, of `call_in_segment`, where.
    SegmentCall segment{};
};

// Beyond what any program has of different tasks.
inline constexpr std::uint32_t most_tasks = 1u << 20;

// All throw CodecError if the record contradicts itself, or is of another kind.
TaskMeaning read_task_record(const TaskRingWorker::Record& record);
CallRequest read_call_record(const TaskRingWorker::Record& record);
std::uint64_t read_number_record(const TaskRingWorker::Record& record);
// That it holds the entries it promises.
const AttachRecord& read_attach_record(const TaskRingWorker::Record& record);

// The two parts of a call's message in a segment, which has `where.ref.bytes` bytes.
struct SegmentParts {
    std::span<const std::byte> fields, items;
};
SegmentParts parts_of(const SegmentCall& where, const std::byte* message);

}  // namespace multiproc
