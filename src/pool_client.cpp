#include <multiproc/detail/pool_client.hpp>

#include <stdexcept>

#include <multiproc/errors.hpp>

#include "deadline.hpp"
#include "interrupt.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {

EngineRef::EngineRef(const EngineRef& other) noexcept : engine_(other.engine_) {
    if (engine_ != nullptr) engine_->retain();
}
void EngineRef::release() noexcept { engine_->release(); }

// ---- a call --------------------------------------------------------------------------------------------------------

CallHandle::CallHandle(const CallHandle& other) noexcept : call_(other.call_) {
    if (call_ != nullptr) call_->retain();
}
void CallHandle::release() noexcept { call_->release(); }

CallState& CallHandle::state() const {
    if (call_ == nullptr) throw ClosedError("multiproc: this result was moved from");
    return *call_;
}

void CallHandle::wait() const {
    if (!state().is_done()) state().engine().wait(*call_, os::never);
}
bool CallHandle::wait_unless(const std::atomic<bool>& stopped) const {
    return state().is_done() || state().engine().wait(*call_, os::never, &stopped);
}
void CallHandle::interrupt_waits() const { state().engine().interrupt_waits(); }
bool CallHandle::wait_for(Timeout timeout) const {
    return state().is_done() || state().engine().wait(*call_, deadline_after(timeout));
}
bool CallHandle::ready() const { return state().is_done(); }

bool CallHandle::successful() const {
    if (!state().is_done()) throw std::logic_error("multiproc: the result is not ready yet; wait() for it first");
    return !state().has_error();
}

bool CallHandle::cancel() const { return state().engine().cancel(*call_); }
void CallHandle::then(Continuation continuation) const { state().engine().then(*call_, std::move(continuation)); }

void CallHandle::throw_timeout() const {
    throw TimeoutError("multiproc: the result of " + state().task().name + " is not there yet");
}

InputBuffer CallHandle::await_result() const {
    wait();
    if (state().has_error()) std::rethrow_exception(state().error());
    return state().single_result();
}

bool CallHandle::is_map() const noexcept { return call_->is_map(); }
std::size_t CallHandle::item_count() const noexcept { return static_cast<std::size_t>(call_->details()->items); }
std::size_t CallHandle::part_count() const noexcept { return call_->details()->parts.size(); }
CallHandle::Part CallHandle::part(std::size_t index) const noexcept {
    const ResultPart& part = call_->details()->parts[index];
    return {InputBuffer(part.view(), part.attachments()), part.count};
}

namespace {
thread_local std::vector<Attachment> spare_attachments;  // empty; of this thread's last message that had some
}

// ---- a single task -------------------------------------------------------------------------------------------------

struct TaskWriter::Spill {
    explicit Spill(SegmentSource& source) : out(source) {}
    SpillBuffer out;
};

TaskWriter::TaskWriter(PoolEngine& engine) noexcept : engine_(&engine) {
    begin_ = cursor_ = room_;
    limit_ = room_ + sizeof room_;
}
TaskWriter::~TaskWriter() {
    if (attachment_storage().capacity() == 0) return;
    attachment_storage().clear();
    attachment_storage().swap(spare_attachments);
}

void TaskWriter::attach(const Attachment& attachment) {
    if (attachments().empty()) attachment_storage().swap(spare_attachments);
    add_once(attachment_storage(), attachment);
}

void TaskWriter::grow(std::size_t more) {
    const std::size_t used = size();
    if (!spill_) {
        spill_ = std::make_unique<Spill>(engine_->segments());
        spill_->out.write(begin_, used);
    } else {
        spill_->out.truncate(0);
        spill_->out.append(used);
    }
    // The room that the other buffer makes is written to from here.
    const SpillBuffer::Room room = spill_->out.make_room(more);
    begin_ = room.begin;
    cursor_ = begin_ + used;
    limit_ = room.end;
}

CallHandle TaskWriter::submit(const TaskTarget& target, ItemShape shape, const CallOptions* options, bool waits) {
    CallRef call = spill_ && spill_->out.is_spilled()
                       ? engine_->submit_single(target, shape, spill_->out.lease(), size(), prefix_,
                                                attachment_storage(), options, waits)
                       : engine_->submit_single(target, shape, bytes(), prefix_, attachment_storage(), options, waits);
    if (waits && !call->is_done()) {
        engine_->cancel(*call);  // nobody can have its result any more
        throw_if_interrupted();
    }
    return CallHandle(call.detach());
}

// ---- many items ----------------------------------------------------------------------------------------------------

struct MapWriter::Block {
    explicit Block(SegmentSource& source) : out(source) {}
    SpillBuffer out;
    std::vector<std::byte> prefix;        // the callable's fields, repeated in front of every block...
    std::vector<Attachment> attachments;  // ... and what they refer to
    bool is_bounded = false;
};

MapWriter::MapWriter(PoolEngine& engine, const TaskTarget& target, ItemShape shape, const CallOptions& options,
                     bool bounded, ResultSink sink)
    : block_(std::make_unique<Block>(engine.segments())), shape_(shape), engine_(&engine), call_(nullptr) {
    block_->is_bounded = bounded;
    out_ = &block_->out;
    call_ = CallHandle(engine.begin_map(target, options, std::move(sink)).detach());
}

MapWriter::MapWriter(PoolEngine& engine, CallHandle call, ItemShape shape)
    : block_(std::make_unique<Block>(engine.segments())), shape_(shape), engine_(&engine), call_(std::move(call)) {
    out_ = &block_->out;
}

MapWriter::~MapWriter() {
    if (finished_) return;
    engine_->withdraw(*call_.call());
    if (block_->is_bounded) engine_->await_reports(*call_.call());
}

void MapWriter::callable_written() {
    const std::span<const std::byte> prefix = out_->bytes();
    block_->prefix.assign(prefix.begin(), prefix.end());
    block_->attachments = out_->take_attachments();
    prefix_size_ = prefix.size();
    full_ = prefix_size_ + block_size;
    item_start_ = prefix_size_;
}

void MapWriter::begin_block() {
    block_->out.reset();
    out_->write(block_->prefix.data(), block_->prefix.size());
    item_start_ = prefix_size_;
}

std::shared_ptr<ItemBlock> MapWriter::make_block() {
    auto block = std::make_shared<ItemBlock>();
    block->prefix = prefix_size_;
    block->has_lengths = !shape_.fixed_size;
    block->result_size = shape_.result_size;
    block->attachments = out_->take_attachments();
    block->attachments.insert(block->attachments.end(), block_->attachments.begin(), block_->attachments.end());
    return block;
}

void MapWriter::item_attached() {
    if (out_->attachments().size() >= ItemBlock::most_attachments) flush();
}

void MapWriter::flush() {
    std::shared_ptr<ItemBlock> block = make_block();
    block->size = out_->size();
    block->item_size = (block->size - block->prefix) / count_;
    if (block_->out.is_spilled()) {
        block->lease = block_->out.lease();
    } else {
        block->bytes = block_->out.take_block();
    }
    const std::uint32_t count = std::exchange(count_, 0);
    engine_->submit_items(*call_.call(), std::move(block), count);
    submitted_ += count;
    begin_block();
    if (block_->is_bounded) engine_->await_room(*call_.call());
}

void MapWriter::items_are(const void* items, std::size_t item_size, std::uint64_t count) {
    if (count == 0) return;
    std::shared_ptr<ItemBlock> block = make_block();
    block->bytes = block_->out.take_block();
    block->view = static_cast<const std::byte*>(items);
    block->item_size = item_size;
    block->size = prefix_size_ + static_cast<std::size_t>(count) * item_size;
    engine_->submit_items(*call_.call(), std::move(block), count);
}

CallHandle MapWriter::finish() {
    if (count_ != 0) flush();
    finished_ = true;
    engine_->complete_input(*call_.call());
    return call_;
}

CallHandle MapWriter::finish_and_wait() {
    CallHandle call = finish();
    try {
        call.wait();
    } catch (...) {
        call.cancel();
        throw;
    }
    engine_->await_reports(*call.call());
    return call;
}

void expect_to_fill(void* memory, std::size_t size) noexcept { os::expect_to_fill(memory, size); }

Count check_chunk_size(Count chunk_size) {
    if (chunk_size.value() >= 0) return chunk_size;
    throw std::invalid_argument("multiproc: a chunk cannot have " + std::to_string(chunk_size.value()) +
                                " items; give 1 to 1000, or leave it out");
}

}  // namespace multiproc::detail
