// The ring in which a parent sends tasks: a worker reads nothing beyond the records, jumps to nothing but a task of the
// signature that was meant, and answers each item that it was sent by a result or an error.
//
// The bytes are the ring. Which function of a signature is called is up to the parent, so the only ones here are those
// that there are.
#include <optional>
#include <system_error>
#include <unordered_map>

#include <multiproc/errors.hpp>
#include <multiproc/partial.hpp>

#include "local_run.hpp"
#include "ring_memory.hpp"
#include "target.hpp"
#include "task_record.hpp"
#include "task_ref.hpp"

namespace {

using namespace multiproc;
using namespace multiproc::fuzz;

std::string repeat(const std::string& text, unsigned char times) {
    std::string all;
    for (unsigned i = 0; i < times % 4u; ++i) all += text;
    return all;
}
struct Scale {
    std::vector<double> factors;
    double operator()(double x) const { return factors.empty() ? x : x * factors.front(); }
};

template <class F, class... Args>
const TaskRef& ref_of(const F& f) {
    return refer(detail::Task<F, Args...>::target(f));
}
const TaskRef& repeat_ref() {
    return ref_of<std::string (*)(const std::string&, unsigned char), std::string, int>(&repeat);
}
const TaskRef& scale_ref() { return ref_of<Scale, double>(Scale()); }

class Worker {
public:
    void take(const TaskRingWorker::Record& record) {
        switch (record.head.kind) {
            case RecordKind::task: return define(read_task_record(record));
            case RecordKind::attach: {
                const AttachRecord& attach = read_attach_record(record);
                sum_of({reinterpret_cast<const std::byte*>(&attach), AttachRecord::size(attach.count)});
                return;
            }
            case RecordKind::detach:
            case RecordKind::discard: (void)read_number_record(record); return;
            default: return run(read_call_record(record), record);
        }
    }

private:
    void define(TaskMeaning meaning) {
        require(meaning.number < most_tasks, "numbers of tasks are small");
        if (meaning.place.function != 0) meaning.place.function = repeat_ref().place.function;
        tasks_[meaning.number] = std::move(meaning);
    }
    void run(const CallRequest& call, const TaskRingWorker::Record& record) {
        if (record.head.kind == RecordKind::call_in_segment) {
            // The segment has as many bytes as the reference says; see SegmentStore.
            const ByteVector message(static_cast<std::size_t>(call.segment.ref.bytes % 4096));
            SegmentCall where = call.segment;
            where.ref.bytes = message.size();
            const SegmentParts parts = parts_of(where, message.data());
            sum_of(parts.fields);
            sum_of(parts.items);
            return;
        }
        const std::byte* const end = record.place + record.head.size;
        require(call.fields.data() >= record.place && call.items.data() + call.items.size() <= end,
                "arguments lie in their record");
        const auto known = tasks_.find(call.task);
        if (known == tasks_.end()) return;
        const ResolvedTask task = resolve(known->second.place, known->second.modules);
        require(task.descriptor == repeat_ref().target.descriptor || task.descriptor == scale_ref().target.descriptor,
                "what is called is a task");
        const std::uint32_t count = call.count % 8;
        const auto items = LocalRun().run({task.descriptor, task.function}, "task", call.fields, call.items, count);
        require(items.size() == count, "each item has a result or an error");
    }

    std::unordered_map<std::uint32_t, TaskMeaning> tasks_;
};

void run(Bytes bytes) {
    const FilledRing ring(bytes);
    TaskRingHeader header{};
    TaskRingWorker tasks(&header, ring.memory());
    Worker worker;
    std::size_t taken = 0;
    while (const std::optional<TaskRingWorker::Record> record = tasks.begin()) {
        require(ring.holds(record->place, record->head.size), "a record lies in the ring");
        taken += record->head.size;
        if (taken > ring.capacity() || record->head.kind == RecordKind::stop) return;
        try {
            worker.take(*record);
        } catch (const CodecError&) {  // the worker leaves
            return;
        } catch (const BootstrapError&) {}  // the call fails
    }
}

// ---- seeds ----

class Parent {
public:
    Parent() : ring_(ByteVector(2048)), tasks_(&header_, ring_.memory()) {}
    Parent& task(const TaskRef& ref) {
        const std::size_t size = sizeof(TaskRecord) + ref.modules.size();
        auto* const record = reinterpret_cast<TaskRecord*>(tasks_.reserve(size));
        record->descriptor = ref.place.descriptor;
        record->function = ref.place.function;
        record->signature = ref.place.signature;
        record->number = ref.number;
        record->modules = static_cast<std::uint32_t>(ref.modules.size());
        std::memcpy(record + 1, ref.modules.data(), ref.modules.size());
        tasks_.push(RecordKind::task, size);
        return *this;
    }
    Parent& call(const TaskRef& ref, std::uint32_t count, const ByteVector& fields, const ByteVector& items) {
        const std::size_t size = sizeof(CallRecord) + fields.size() + items.size();
        auto* const record = reinterpret_cast<CallRecord*>(tasks_.reserve(size));
        record->id = 1;
        record->task = ref.number;
        record->count = count;
        record->prefix = static_cast<std::uint32_t>(fields.size());
        record->items = static_cast<std::uint32_t>(items.size());
        if (!fields.empty()) std::memcpy(record + 1, fields.data(), fields.size());
        std::memcpy(reinterpret_cast<std::byte*>(record + 1) + fields.size(), items.data(), items.size());
        tasks_.push(RecordKind::call, size);
        return *this;
    }
    template <class Record>
    Parent& other(RecordKind kind, const ByteVector& behind, void (*fill)(Record&)) {
        const std::size_t size = sizeof(Record) + behind.size();
        auto* const record = reinterpret_cast<Record*>(tasks_.reserve(size));
        fill(*record);
        if (!behind.empty()) std::memcpy(record + 1, behind.data(), behind.size());
        tasks_.push(kind, size);
        return *this;
    }
    Seed seed(const char* name) const { return {name, {ring_.data(), ring_.data() + ring_.capacity()}}; }

private:
    TaskRingHeader header_{};
    FilledRing ring_;
    TaskRingParent tasks_;
};

template <class F, class... Args>
ByteVector items_of(const Args&... args) {
    HeapBuffer out;
    detail::Task<F, Args...>::write_item(out, args...);
    return {out.bytes().begin(), out.bytes().end()};
}

Seeds seeds() {
    using Repeat = std::string (*)(const std::string&, unsigned char);
    const ByteVector repeats = items_of<Repeat>(std::string("ab"), 3);
    const ByteVector scales = items_of<Scale>(2.5);
    const ByteVector two = joined(scales, scales);
    TaskRef elsewhere = repeat_ref();
    struct Module {
        std::string path, build;
    };
    const ByteVector modules = encoded(std::optional<Module>(), std::optional<Module>({"libnone.so", "id:00"}));
    elsewhere.modules.assign(reinterpret_cast<const char*>(modules.data()), modules.size());
    const SegmentCall segment{{1, 100, 4096, 0, 1}, 16, 80};
    const ByteVector where = joined(raw(segment));
    return {Parent().task(repeat_ref()).call(repeat_ref(), 1, {}, repeats).seed("function"),
            Parent().task(scale_ref()).call(scale_ref(), 2, encoded(Scale{{2, 3}}), two).seed("fields"),
            Parent().task(elsewhere).call(elsewhere, 1, {}, repeats).seed("module"),
            Parent()
                .other<CallRecord>(RecordKind::call_in_segment, where, [](CallRecord& call) { call.count = 1; })
                .seed("segment"),
            Parent()
                .other<AttachRecord>(RecordKind::attach, ByteVector(2 * sizeof(BlockEntry)),
                                     [](AttachRecord& attach) { attach.count = attach.handles = 2; })
                .other<BlockRecord>(RecordKind::detach, {}, [](BlockRecord& block) { block.number = 5; })
                .other<BlockRecord>(RecordKind::stop, {}, [](BlockRecord&) {})
                .seed("others")};
}

const Target target("task_messages", &run, &seeds);

}  // namespace
