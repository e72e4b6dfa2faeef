#include "task_record.hpp"

#include <cstring>

#include <multiproc/errors.hpp>

namespace multiproc {
namespace {

[[noreturn]] void throw_broken() { throw CodecError("multiproc: this process was sent a broken task"); }

// The record's fixed part, and how many bytes are behind it.
template <class Record>
const Record& fixed_part(const TaskRingWorker::Record& record, std::size_t& behind) {
    if (record.head.size < sizeof(Record)) throw_broken();
    behind = record.head.size - sizeof(Record);
    return *reinterpret_cast<const Record*>(record.place);
}

}  // namespace

TaskMeaning read_task_record(const TaskRingWorker::Record& record) {
    std::size_t behind = 0;
    const auto& task = fixed_part<TaskRecord>(record, behind);
    if (record.head.kind != RecordKind::task || task.number >= most_tasks || task.modules > behind) throw_broken();
    return {task.number,
            {task.descriptor, task.function, task.signature},
            std::string(reinterpret_cast<const char*>(&task + 1), task.modules)};
}

CallRequest read_call_record(const TaskRingWorker::Record& record) {
    std::size_t behind = 0;
    const auto& call = fixed_part<CallRecord>(record, behind);
    CallRequest request;
    request.id = call.id;
    request.task = call.task;
    request.count = call.count;
    request.flags = call.flags;
    const auto* const data = reinterpret_cast<const std::byte*>(&call + 1);
    if (record.head.kind == RecordKind::call_in_segment) {
        if (behind < sizeof request.segment) throw_broken();
        std::memcpy(&request.segment, data, sizeof request.segment);
    } else {
        if (record.head.kind != RecordKind::call || call.prefix > behind || call.items > behind - call.prefix)
            throw_broken();
        request.fields = {data, call.prefix};
        request.items = {data + call.prefix, call.items};
    }
    return request;
}

std::uint64_t read_number_record(const TaskRingWorker::Record& record) {
    std::size_t behind = 0;
    return fixed_part<BlockRecord>(record, behind).number;
}

const AttachRecord& read_attach_record(const TaskRingWorker::Record& record) {
    std::size_t behind = 0;
    const auto& attach = fixed_part<AttachRecord>(record, behind);
    if (attach.count > AttachRecord::most_blocks || attach.handles > attach.count ||
        attach.count * sizeof(BlockEntry) > behind)
        throw_broken();
    return attach;
}

SegmentParts parts_of(const SegmentCall& where, const std::byte* message) {
    if (where.prefix > where.ref.bytes || where.items > where.ref.bytes - where.prefix) throw_broken();
    return {{message, static_cast<std::size_t>(where.prefix)},
            {message + (where.ref.bytes - where.items), static_cast<std::size_t>(where.items)}};
}

}  // namespace multiproc
