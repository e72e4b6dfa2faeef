#include "local_run.hpp"

#include "error_transport.hpp"
#include "os.hpp"

namespace multiproc {

std::vector<LocalRun::Item> LocalRun::run(const detail::Batch& batch) {
    const detail::ItemBlock& block = *batch.block;
    std::size_t end = batch.offset;
    for (std::uint32_t i = 0; i < batch.count; ++i) end = block.next(end);
    return run(block.task->target, block.task->name, block.fields(), {block.item(batch.offset), end - batch.offset},
               batch.count);
}

std::vector<LocalRun::Item> LocalRun::run(const detail::TaskTarget& target, const std::string& name,
                                          std::span<const std::byte> callable, std::span<const std::byte> item_bytes,
                                          std::uint32_t items) {
    task_name_ = &name;
    fields = InputBuffer(callable);
    arguments = InputBuffer(item_bytes);
    count = items;
    function = target.function;
    result_ = this;
    progress_ = &progress_word_;
    send_each_ = true;
    time_calls();
    items_.reserve(count);
    try {
        target.descriptor->run(*this);
    } catch (...) {
        while (items_.size() < count) send_error();  // nothing of it could be run
    }
    return std::move(items_);
}

void LocalRun::send_results() {
    items_.push_back({{begin_, cursor_}, false, take_attachments()});
    cursor_ = begin_;
    done_ = 0;
}

void LocalRun::send_error() noexcept {
    cursor_ = begin_;  // what the item had written so far is dropped
    take_attachments();
    HeapBuffer encoded;
    encode_current_exception(encoded, os::current_pid(), *task_name_);
    items_.push_back({{encoded.bytes().begin(), encoded.bytes().end()}, true});
}

void LocalRun::grow(std::size_t more) {
    const std::size_t used = size();
    room_.resize(used + more + (used + more) / 2 + 64);
    begin_ = room_.data();
    cursor_ = begin_ + used;
    limit_ = begin_ + room_.size();
}

}  // namespace multiproc
