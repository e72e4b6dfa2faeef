// What a fork server is asked and what it answers, as it comes through a socket with descriptors attached: requests are
// found whole or not at all, however they arrive; one that counts as complete has what its child will look for; and an
// answer's pid is only believed if it can be a child's.
//
// The first byte says what the bytes are, the second how many descriptors come along, the third into which pieces the
// bytes are cut.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "posix/context.hpp"
#include "posix/messages.hpp"
#include "posix/request_queue.hpp"
#include "target.hpp"

namespace {

using namespace multiproc::fuzz;
using namespace multiproc::os;
using namespace multiproc::os::posix;

std::vector<Handle> some_descriptors(std::size_t count) {
    static const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    std::vector<Handle> handles;
    while (handles.size() < count) handles.push_back(duplicate(static_cast<RawHandle>(null)));
    return handles;
}

void check_context(const std::string& context) {
    const std::optional<ContextText> text = text_of(context);
    (void)ignores_hangup(context);
    (void)process_limit_of(context);
    if (!text) return;
    std::size_t size = text->directory ? text->directory->size() : 0;
    for (const std::string& entry : text->environment) size += entry.size();
    require(size <= context.size(), "a context says no more than it has bytes");
}

void check(const ReceivedRequest& request) {
    const RequestHeader& header = request.header;
    require(request.context.size() == header.context_size, "a request has all of its context");
    require(request.descriptors.size() <= header.descriptors, "a request has its own descriptors only");
    check_context(request.context);
    if (header.kind != RequestKind::fork || !is_complete(request, 0)) return;
    // What unpack takes out of it: for the child, parent, out, err, and those that the flags name.
    std::size_t taken = 4;
    if ((header.flags & has_directory) != 0) ++taken;
    if ((header.flags & has_lifeline) != 0) ++taken;
    require(request.descriptors.size() >= taken, "a complete request has what its child looks for");
}

// How many there are.
std::size_t read_requests(Bytes bytes, std::size_t piece, std::vector<Handle> descriptors) {
    RequestQueue queue;
    std::size_t count = 0;
    do {
        const Bytes next = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(next.size());
        queue.add({reinterpret_cast<const unsigned char*>(next.data()), next.size()}, std::exchange(descriptors, {}));
        while (const std::optional<ReceivedRequest> request = queue.next()) {
            check(*request);
            ++count;
        }
    } while (!bytes.empty() && queue.is_sound());
    return count;
}

void read_answer(Bytes bytes, std::size_t piece, std::vector<Handle> descriptors) {
    auto [ours, servers] = make_socket_pair(SOCK_STREAM);
    std::vector<int> attached;
    for (const Handle& handle : descriptors) attached.push_back(fd_of(handle));
    while (!bytes.empty()) {
        const Bytes next = bytes.first(std::min(piece, bytes.size()));
        bytes = bytes.subspan(next.size());
        require(send_all(fd_of(servers), next.data(), next.size(), attached) == 0, "there is room in a socket");
        attached.clear();
    }
    servers.reset();
    Reply reply;
    std::vector<Handle> received;
    if (!receive_all(fd_of(ours), &reply, sizeof reply, received)) return;
    require(received.size() <= descriptors.size(), "no more descriptors arrive than were sent");
    if (const std::optional<ReceivedReply> checked = check_reply(reply, std::move(received)))
        require(checked->reply.pid == 0 ? checked->attached.empty() : checked->reply.pid > 1, "a child has a pid");
}

void run(Bytes bytes) {
    Cursor cursor(bytes);
    const auto kind = cursor.take<unsigned char>();
    const std::size_t count = cursor.take<unsigned char>() % 8;
    const std::size_t piece = std::size_t{cursor.take<unsigned char>()} + 1;
    if (kind % 3 == 1)
        return read_answer(cursor.rest().first(std::min<std::size_t>(cursor.rest().size(), 4096)), piece,
                           some_descriptors(count));
    if (kind % 3 == 2) {
        const Bytes rest = cursor.rest();
        return check_context({reinterpret_cast<const char*>(rest.data()), rest.size()});
    }
    const std::size_t whole = read_requests(cursor.rest(), SIZE_MAX, some_descriptors(count));
    require(read_requests(cursor.rest(), piece, some_descriptors(count)) == whole,
            "requests are the same however they arrive");
}

Seeds seeds() {
    const std::string context = capture_context(std::vector<std::string>{"A=1", "B=2"}, "\nUmask:\t0022\n", "/tmp");
    const auto request = [&](RequestKind kind, std::uint32_t flags, std::uint32_t descriptors) {
        RequestHeader header;
        header.kind = kind;
        header.flags = flags;
        header.descriptors = descriptors;
        header.context_size = kind == RequestKind::fork ? static_cast<std::uint32_t>(context.size()) : 0;
        return joined(raw(header), kind == RequestKind::fork ? context : std::string());
    };
    const auto seed = [](const char* name, const char* choices, const auto&... rest) {
        return Seed{name, joined(std::string(choices, 3), rest...)};
    };
    const ByteVector fork = request(RequestKind::fork, has_directory | has_lifeline, 6);
    return {seed("fork", "\0\6\xff", fork),
            seed("in_pieces", "\0\6\7", fork, request(RequestKind::signal, 0, 0), request(RequestKind::leave, 0, 0)),
            seed("spare", "\0\1\xff", request(RequestKind::spare, has_process_limit, 1)),
            seed("preload", "\0\2\xff", request(RequestKind::preload, 0, 2)),
            seed("answer", "\1\1\xff", joined(raw(Reply{42, 0}))),
            seed("spare_answer", "\1\3\2", joined(raw(Reply{42, 0}))),
            seed("refusal", "\1\0\xff", joined(raw(Reply{0, 11}))),
            seed("context", "\2\0\0", context)};
}

const Target target("fork_server", &run, &seeds);

}  // namespace
