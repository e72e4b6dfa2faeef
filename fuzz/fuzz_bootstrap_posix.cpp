// What a process finds at its start: the variable by which it is told that it is a child, and the channel that is one of
// its handles, with what it must know of itself. Whatever they say, the child begins or leaves with an error.
//
// The first byte says whether the rest is the variable or the channel.
#include <optional>
#include <system_error>

#include <multiproc/errors.hpp>

#include "channel.hpp"
#include "posix/launching.hpp"
#include "target.hpp"
#include "task_record.hpp"

namespace {

using namespace multiproc;
using namespace multiproc::fuzz;
using os::posix::Announcement;
using os::posix::parse_announcement;

void read_variable(Bytes bytes) {
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::optional<Announcement> found = parse_announcement(text.c_str());
    if (!found) return;
    require(found->parent > 0 && found->handles <= 100'000 && found->count() >= 2, "what a child is told is possible");
    require(found->role == os::posix::Role::child || found->role == os::posix::Role::fork_server, "it has a role");
    const std::optional<Announcement> again = parse_announcement(found->text().c_str());
    require(again && again->text() == found->text(), "what a child is told can be told again");
}

void read_channel(Bytes bytes) {
    if (bytes.empty()) return;
    os::Segment memory = os::Segment::create(bytes.size());
    std::memcpy(memory.data(), bytes.data(), bytes.size());
    try {
        Channel channel = Channel::adopt(os::duplicate(memory.handle()));
        require(channel.control().size <= bytes.size(), "a channel is not larger than its memory");
        (void)channel.info();
        (void)channel.said_exit();
        TaskRingWorker tasks = channel.task_worker();
        std::uint64_t taken = 0;
        while (const auto record = tasks.begin()) {
            taken += record->head.size;
            if (taken > bytes.size() || record->head.kind != RecordKind::task) break;
            (void)read_task_record(*record);
        }
        ResultRingWorker results = channel.result_worker();
        if (const auto room = results.reserve(ring_cell); room.place != nullptr) std::memset(room.place, 1, ring_cell);
    } catch (const Error&) {  // the child leaves
    } catch (const std::system_error&) {}
}

void run(Bytes bytes) {
    Cursor cursor(bytes);
    if (cursor.take<unsigned char>() % 2 == 0) return read_variable(cursor.rest());
    read_channel(cursor.rest());
}

Seeds seeds() {
    const auto variable = [](const char* name, const std::string& text) {
        return Seed{name, joined(std::string(1, '\0'), text)};
    };
    StartInfo info;
    info.name = "worker";
    info.parent_name = "parent";
    info.executable_build = "id:00";
    const Channel channel = Channel::create(multiproc::Role::pool_worker, {512, 512}, info);
    const ControlBlock& control = channel.control();
    const Bytes whole(reinterpret_cast<const std::byte*>(&control), static_cast<std::size_t>(control.size));
    return {variable("child", Announcement{os::posix::Role::child, 42, 1000, true, false, 6}.text()),
            variable("server", Announcement{os::posix::Role::fork_server, 42, 0, false, false, 2}.text()),
            variable("other_version", "2 c 42 0 0 0 0"),
            {"channel", joined(std::string(1, '\1'), whole)}};
}

const Target target("bootstrap", &run, &seeds);

}  // namespace
