// Runs a task in this process: the back end of a pool without workers, for debugging. Arguments and results still pass
// through the codec.
#pragma once

#include <cstdint>
#include <vector>

#include <multiproc/detail/task.hpp>

#include "item_block.hpp"

namespace multiproc {

class LocalRun final : public detail::TaskRun, private OutputBuffer {
public:
    struct Item {
        std::vector<std::byte> bytes;
        bool is_error = false;
        std::vector<detail::Attachment> blocks = {};  // that the result refers to
    };
    // Runs the items of the batch in this thread; one Item for each. Throws std::bad_alloc.
    std::vector<Item> run(const detail::Batch& batch);
    // Of the last run, how much time the functions themselves took.
    std::chrono::nanoseconds in_calls() const noexcept { return time_in_calls(); }
    // Runs `items` items of a task whose name, for people, is `name`.
    std::vector<Item> run(const detail::TaskTarget& target, const std::string& name,
                          std::span<const std::byte> callable, std::span<const std::byte> item_bytes,
                          std::uint32_t items);

private:
    void send_results() override;
    void send_error() noexcept override;
    void grow(std::size_t more) override;

    std::vector<Item> items_;
    std::vector<std::byte> room_;
    std::atomic<std::uint64_t> progress_word_{0};
    const std::string* task_name_ = nullptr;
};

}  // namespace multiproc
