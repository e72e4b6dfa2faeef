// The ring in which a child of a Process or a worker of a Pool sends its results: whatever it says, the parent takes in
// what lies in the ring or in memory that was sent, and from then on has a copy that the child cannot change.
//
// The bytes are the ring. A segment was sent before it, under token 1.
#include <optional>
#include <system_error>

#include <multiproc/errors.hpp>

#include "block_transfer.hpp"
#include "call_state.hpp"
#include "error_transport.hpp"
#include "result_record.hpp"
#include "ring_memory.hpp"
#include "segment_cache.hpp"
#include "target.hpp"

namespace {

using namespace multiproc;
using namespace multiproc::fuzz;

constexpr std::size_t segment_size = 8192;
const std::string text_in_segment = "what a worker wrote into a segment";

class Worker {
public:
    Worker() {
        auto [parents, childs] = os::HandleLink::create();
        link = std::move(parents);
        const auto worker = os::HandleLink::adopt(std::move(childs));
        static const os::Segment segment = [] {
            os::Segment made = os::Segment::create(segment_size);
            std::memcpy(made.data() + segment_payload, text_in_segment.data(), text_in_segment.size());
            return made;
        }();
        worker->send(segment.handle());
    }

    std::unique_ptr<os::HandleLink> link;
    SegmentStore segments{os::Segment::Access::read_write};
    BlockLedger blocks{nullptr};
};

// As attach_memory does it, of a child that is a process.
void attach(ResultMessage& message, Worker& worker) {
    message.blocks = worker.blocks.take_arrived();
    if (message.named_block) message.block = BlockRegistry::get().require(*message.named_block);
    if (!message.is_in_segment) return;
    message.segment = worker.segments.open(message.ref, *worker.link);
    require(message.size <= message.segment->size() - segment_payload, "a result lies in its segment");
    message.data = message.segment->data() + segment_payload;
}

void take_in(ResultMessage& message, Worker& worker, const FilledRing& ring) {
    if (!message.is_in_segment) require(ring.holds(message.data, message.size), "a result lies in the ring");
    require(message.count != 0 && message.in_calls <= message.nanoseconds, "a result makes sense");
    attach(message, worker);
    const bool is_error = message.is_error;
    detail::ResultPart part(message);
    const Bytes before = part.view();
    const ByteVector copy(before.begin(), before.end());
    ring.scribble();
    require(std::ranges::equal(part.view(), copy), "the parent's copy is its own");
    ring.restore();
    sum_of(copy);
    if (!is_error) return;
    InputBuffer in(part.view());
    require(decode_exception(in) != nullptr, "an error is an error, whatever it says");
}

// What a pool does, or a process that reads its one result: stops at the first thing that makes no sense.
void read_all(ResultRingParent& parent, Worker& worker, const FilledRing& ring) {
    TaskRingHeader tasks_header{};
    const FilledRing tasks_memory({});
    TaskRingParent tasks(&tasks_header, tasks_memory.memory());
    // A pool knows how many results a worker can owe it. Of everything else the ring itself must come to an end.
    int results = 0;
    while (const std::optional<ResultRingParent::Record> record = parent.peek()) {
        require(ring.holds(record->place, record->head.size), "a record lies in the ring");
        if (!worker.blocks.accept(*record, tasks, *worker.link)) {
            ResultMessage message = read_result_record(*record);
            take_in(message, worker, ring);
            if (++results == 64) return;
        }
        parent.pop(*record);
    }
}

void run(Bytes bytes) {
    const FilledRing ring(bytes);
    Worker worker;
    ResultRingHeader header{};
    ResultRingParent parent(&header, ring.memory());
    try {
        read_all(parent, worker, ring);
    } catch (const CodecError&) {  // the worker is ended for that
    } catch (const std::system_error&) {}
    const ResultMessage unfinished = read_unfinished_record(parent);
    if (unfinished.count != 0)
        require(ring.holds(unfinished.data, unfinished.size), "what is salvaged lies in the ring");
}

// ---- seeds ----

class Writer {
public:
    explicit Writer(std::size_t capacity = 1024) : ring_(ByteVector(capacity)), worker_(&header_, ring_.memory()) {}

    Writer& result(std::uint32_t form, std::uint32_t count, Bytes payload, std::size_t size) {
        const std::size_t whole = sizeof(ResultRecord) + payload.size();
        auto* const record = reinterpret_cast<ResultRecord*>(worker_.reserve(whole).place);
        record->id = 1;
        record->first = first_;
        record->form = form;
        std::memcpy(record + 1, payload.data(), payload.size());
        record->progress = detail::TaskRun::pack(count, size);
        first_ += count;
        worker_.push(RecordKind::result, whole);
        return *this;
    }
    Writer& result(Bytes payload, std::uint32_t count = 1) { return result(0, count, payload, payload.size()); }
    Writer& blocks(std::span<const BlockEntry> entries, std::uint32_t handles) {
        const std::size_t size = AttachRecord::size(entries.size());
        auto* const record = reinterpret_cast<AttachRecord*>(worker_.reserve(size).place);
        record->token = 1;
        record->count = static_cast<std::uint32_t>(entries.size());
        record->handles = handles;
        std::memcpy(record + 1, entries.data(), entries.size_bytes());
        worker_.push(RecordKind::attach, size);
        return *this;
    }
    Writer& number(RecordKind kind, std::uint64_t number) {
        reinterpret_cast<BlockRecord*>(worker_.reserve(sizeof(BlockRecord)).place)->number = number;
        worker_.push(kind, sizeof(BlockRecord));
        return *this;
    }
    // The record that it is writing when it dies.
    Writer& unfinished(Bytes payload) {
        auto* const record =
            reinterpret_cast<ResultRecord*>(worker_.reserve(sizeof(ResultRecord) + payload.size()).place);
        record->id = 1;
        std::memcpy(record + 1, payload.data(), payload.size());
        record->progress = detail::TaskRun::pack(2, payload.size());
        return *this;
    }
    Seed seed(const char* name) const { return {name, {ring_.data(), ring_.data() + ring_.capacity()}}; }

private:
    ResultRingHeader header_{};
    FilledRing ring_;
    ResultRingWorker worker_;
    std::uint32_t first_ = 0;
};

Bytes text(const std::string& text) { return std::as_bytes(std::span(text)); }

Seeds seeds() {
    const std::string numbers(24, 'n');
    const SegmentRef ref{1, text_in_segment.size(), segment_size, 0, 1};
    const SegmentRef again{0, text_in_segment.size(), segment_size, 0, 0};
    ByteVector timed(ring_cell - sizeof(ResultRecord));
    const ResultTiming timing{1000, 50, 20};
    std::memcpy(timed.data() + timed.size() - sizeof timing, &timing, sizeof timing);
    const BlockEntry block{BlockId{42}, 4096}, known{BlockId{42}, 0}, object{BlockId{7}, BlockEntry::is_object};
    HeapBuffer error;
    try {
        throw std::out_of_range("no such index");
    } catch (...) { encode_current_exception(error, 1, "task"); }
    return {Writer().result(text("text")).seed("one"),
            Writer().result(text(numbers), 3).result(text(numbers), 3).seed("several"),
            Writer().result(ResultRecord::error, 1, error.bytes(), error.size()).seed("error"),
            Writer().result(ResultRecord::timed, 1, timed, 8).seed("timed"),
            Writer()
                .result(ResultRecord::in_segment, 1, raw(ref), 0)
                .result(ResultRecord::in_segment, 1, raw(again), 0)
                .seed("segment"),
            Writer()
                .result(ResultRecord::names_block | 8u << ResultRecord::block_offset_shift, 1, text(numbers), 24)
                .seed("named_block"),
            Writer().blocks({&block, 1}, 1).result(text(numbers)).blocks({&known, 1}, 0).seed("block"),
            Writer().blocks({&object, 1}, 0).seed("object"),
            Writer().number(RecordKind::refuse, 42).number(RecordKind::detach, 42).seed("answers"),
            Writer(256).result(text("begin")).unfinished(text(numbers)).seed("unfinished")};
}

const Target target("result_records", &run, &seeds);

}  // namespace
