#include "channel.hpp"

#include <bit>

#include <multiproc/codec.hpp>
#include <multiproc/errors.hpp>

#include "die_here.hpp"
#include "per_process.hpp"

namespace multiproc {
namespace {

// Changes whenever the layout of anything that two processes share changes.
constexpr std::uint64_t channel_magic = 0x6d70726f63000007;
// A record and the cells behind it have room.
constexpr std::uint64_t smallest_ring = 4 * ring_cell;
// Asked once: it means reading several files.
struct Processors {
    bool has_many = os::cpu_count() > 1;
};

// Whether all that it names lies in the segment, behind the control block. So much is found out of what a handle is that
// another program gave this one by mistake.
bool is_channel(const ControlBlock& control) noexcept {
    const auto holds = [&](std::uint64_t offset, std::uint64_t size) {
        return offset >= sizeof(ControlBlock) && offset <= control.size && size <= control.size - offset;
    };
    const auto holds_ring = [&](std::uint64_t offset, std::uint64_t capacity) {
        return holds(offset, capacity) && offset % ring_cell == 0 && std::has_single_bit(capacity) &&
               capacity >= smallest_ring;
    };
    return control.magic == channel_magic && holds(control.info_offset, control.info_size) &&
           holds_ring(control.tasks_offset, control.tasks_capacity) &&
           holds_ring(control.results_offset, control.results_capacity) &&
           (control.role == Role::process || control.role == Role::pool_worker);
}

}  // namespace

Channel Channel::create(Role role, ChannelSizes sizes, const StartInfo& info) {
    HeapBuffer encoded;
    encode(encoded, info);

    const std::uint64_t info_offset = round_up_to_cell(sizeof(ControlBlock));
    const std::uint64_t tasks_offset = round_up_to_cell(static_cast<std::size_t>(info_offset + encoded.size()));
    const std::uint64_t results_offset = tasks_offset + sizes.tasks;
    const std::uint64_t size = results_offset + sizes.results;

    Channel channel;
    channel.segment_ = os::Segment::create(static_cast<std::size_t>(size));
    ControlBlock& control = channel.control();
    control.magic = channel_magic;
    control.size = size;
    control.role = role;
    control.parent_pid = os::current_pid();
    control.spins = of_this_program<Processors>().has_many ? 1 : 0;
    control.info_offset = info_offset;
    control.info_size = encoded.size();
    control.tasks_offset = tasks_offset;
    control.tasks_capacity = sizes.tasks;
    control.results_offset = results_offset;
    control.results_capacity = sizes.results;
    std::memcpy(channel.segment_.data() + info_offset, encoded.bytes().data(), encoded.size());
    return channel;
}

Channel Channel::adopt(os::Handle handle) {
    // The size stands in the control block, so that is mapped alone first.
    os::Segment head = os::Segment::adopt(os::duplicate(handle.raw()), sizeof(ControlBlock));
    const auto& control = *reinterpret_cast<const ControlBlock*>(head.data());
    if (!is_channel(control)) throw BootstrapError("multiproc: parent and child use different versions of the library");
    Channel channel;
    channel.segment_ = os::Segment::adopt(std::move(handle), static_cast<std::size_t>(control.size));
    channel.child_slot_ = channel.control().child_slot;
    return channel;
}

StartInfo Channel::info() const {
    InputBuffer in({segment_.data() + control().info_offset, static_cast<std::size_t>(control().info_size)});
    return decode<StartInfo>(in);
}

TaskRingParent Channel::task_parent() const noexcept { return {&control().tasks, task_memory()}; }
TaskRingWorker Channel::task_worker() const noexcept { return {&control().tasks, task_memory()}; }
ResultRingParent Channel::result_parent() const noexcept { return {&control().results, result_memory()}; }
ResultRingWorker Channel::result_worker() const noexcept { return {&control().results, result_memory()}; }

RingMemory Channel::task_memory() const noexcept {
    return {segment_.data() + control().tasks_offset, static_cast<std::size_t>(control().tasks_capacity)};
}
RingMemory Channel::result_memory() const noexcept {
    return {segment_.data() + control().results_offset, static_cast<std::size_t>(control().results_capacity)};
}

void Channel::wake_child(os::ParkingLot& lot) noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);  // mirrored in sleep_child
    std::atomic<std::uint32_t>& asleep = control().asleep;
    if (asleep.load(std::memory_order_relaxed) == 0) return;
    if (asleep.exchange(0, std::memory_order_acq_rel) == 0) return;
    die_here(DeathPoint::child_about_to_be_woken);
    lot.unpark(child_slot_, asleep);
}

ExitStatus Channel::said_exit() const noexcept {
    const std::uint64_t said = control().exit.load(std::memory_order_acquire);
    const auto number = static_cast<std::uint32_t>(said);
    switch (said >> 32) {
        case 1: return ExitStatus::exited(number);
        case 2: return ExitStatus::signalled(number);
        default: return ExitStatus::unknown();
    }
}

void Channel::say_exit(ExitStatus status) noexcept {
    const std::uint64_t kind = status.kind() == ExitStatus::Kind::exited ? 1 : 2;
    control().exit.store((kind << 32) | status.number(), std::memory_order_release);
    die_here(DeathPoint::child_exit_said);
}

}  // namespace multiproc
