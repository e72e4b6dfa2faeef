#include <multiproc/detail/pool_client.hpp>

#include <stdexcept>

#include <multiproc/errors.hpp>

#include "deadline.hpp"
#include "pool_engine.hpp"

namespace multiproc::detail {

CallHandle::CallHandle(std::shared_ptr<PoolEngine> engine, std::shared_ptr<CallState> state, bool is_map) noexcept
    : engine_(std::move(engine)), state_(std::move(state)), is_map_(is_map) {}

void CallHandle::wait() const { engine_->wait(*state_, os::never); }
bool CallHandle::wait_for(std::chrono::nanoseconds timeout) const {
    return engine_->wait(*state_, deadline_after(timeout));
}

bool CallHandle::successful() const {
    if (!state_->is_done()) throw std::logic_error("multiproc: the result is not ready yet; wait() for it first");
    return !state_->has_error();
}

void CallHandle::throw_timeout() const {
    throw TimeoutError("multiproc: the result of " + state_->task->name + " is not there yet");
}

void CallHandle::throw_error() const {
    if (state_->has_error()) std::rethrow_exception(state_->error());
}

std::size_t CallHandle::item_count() const noexcept { return static_cast<std::size_t>(state_->items); }
std::size_t CallHandle::part_count() const noexcept { return state_->parts().size(); }
CallHandle::Part CallHandle::part(std::size_t index) const noexcept {
    const CallState::Part& part = state_->parts()[index];
    return {part.view(), part.count};
}

struct CallWriter::Block {
    explicit Block(SegmentSource& source) : out(source) {}
    SpillBuffer out;
    std::vector<std::byte> prefix;  // the callable's fields, repeated in front of every block
};

CallWriter::CallWriter(std::shared_ptr<PoolEngine> engine, const TaskTarget& target, Options options)
    : options_(options), engine_(std::move(engine)), state_(engine_->begin(target, options.chunk_size)) {
    try {
        block_ = std::make_unique<Block>(engine_->segments());
    } catch (...) {
        engine_->withdraw(*state_);
        throw;
    }
    out_ = &block_->out;
}

CallWriter::~CallWriter() {
    if (!finished_) engine_->withdraw(*state_);
}

void CallWriter::callable_written() {
    const std::span<const std::byte> prefix = out_->bytes();
    if (options_.is_map) block_->prefix.assign(prefix.begin(), prefix.end());
    prefix_size_ = prefix.size();
    full_ = prefix_size_ + block_size;
    item_start_ = prefix_size_;
}

void CallWriter::begin_block() {
    block_->out.reset();
    out_->write(block_->prefix.data(), block_->prefix.size());
}

void CallWriter::flush() {
    ItemBlock block;
    block.prefix = prefix_size_;
    block.has_lengths = !options_.fixed_size_items;
    block.size = out_->size();
    block.item_size = count_ == 0 ? 0 : (block.size - block.prefix) / count_;
    if (block_->out.is_spilled()) {
        block.lease = block_->out.lease();
    } else {
        block.bytes = block_->out.take_block();
    }
    const std::uint32_t count = count_;
    count_ = 0;
    engine_->submit(state_, std::move(block), count);
    if (options_.is_map) {
        begin_block();
        item_start_ = prefix_size_;
        if (options_.bounded) engine_->await_room(*state_);
    }
}

CallHandle CallWriter::finish() {
    if (count_ != 0) flush();
    finished_ = true;
    engine_->complete_input(*state_);
    return CallHandle(engine_, state_, options_.is_map);
}

}  // namespace multiproc::detail
