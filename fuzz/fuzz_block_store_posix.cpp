// What the first process of a program is asked for: handles to be kept and fetched. Whatever the question, it keeps what
// it has and goes on answering.
//
// Each question is a byte that says how many descriptors are attached, one that says how many bytes it has, and these.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <system_error>

#include "os.hpp"
#include "posix/descriptors.hpp"
#include "posix/messages.hpp"
#include "target.hpp"

namespace {

using namespace multiproc::fuzz;
using namespace multiproc::os;
using namespace multiproc::os::posix;

constexpr std::uint64_t kept_name = 0x6b657074;

struct stat facts_of(const Handle& handle) {
    struct stat facts {};
    ::fstat(fd_of(handle), &facts);
    return facts;
}

struct Store {
    // Nobody wants what the cases have left there.
    std::unique_ptr<HandleStore> first =
        HandleStore::create([](std::uint64_t name) noexcept { return name == kept_name; });
    Handle asked = duplicate(first->handle());
    std::unique_ptr<HandleStore> other = HandleStore::adopt(duplicate(asked.raw()));
    Handle null{Handle(static_cast<RawHandle>(::open("/dev/null", O_RDWR | O_CLOEXEC)))};
    Store() { first->keep(kept_name, kept_name, null.raw()); }
};

void run(Bytes bytes) {
    static Store& store = *new Store;
    Cursor cursor(bytes);
    auto [reader, writer] = make_socket_pair(SOCK_STREAM);
    // Few enough for the socket's queue.
    for (int i = 0; i < 8 && !cursor.rest().empty(); ++i) {
        // The first is where an answer goes.
        std::vector<int> attached(cursor.take<unsigned char>() % 4, fd_of(store.null));
        if (!attached.empty()) attached.front() = fd_of(writer);
        ByteVector question;
        const Bytes said = cursor.take_bytes(cursor.take<unsigned char>() % 64u);
        question.assign(said.begin(), said.end());
        // The one promise that a case could break rightfully, by dropping or replacing what is kept under its name.
        if (question.size() >= 16 && std::memcmp(question.data() + 8, &kept_name, sizeof kept_name) == 0) continue;
        send_all(fd_of(store.asked), question.data(), question.size(), attached);
    }
    writer.reset();
    const Handle fetched = store.other->fetch(kept_name, 0);
    const struct stat expected = facts_of(store.null), found = facts_of(fetched);
    require(found.st_ino == expected.st_ino && found.st_rdev == expected.st_rdev, "what is kept stays what it is");
    try {
        (void)store.other->fetch(kept_name + 1, 0);
    } catch (const std::system_error&) {}
}

Seeds seeds() {
    struct Question {
        std::uint32_t wish, unused;
        std::uint64_t name, content;
    };
    const auto ask = [](unsigned char descriptors, const Question& question) {
        return joined(raw(descriptors), raw(static_cast<unsigned char>(sizeof question)), raw(question));
    };
    return {{"keep", ask(2, {0, 0, 7, 8})},
            {"fetch", joined(ask(2, {0, 0, 7, 8}), ask(1, {1, 0, 7, 0}))},
            {"drop", joined(ask(2, {0, 0, 7, 8}), ask(0, {2, 0, 7, 0}))},
            {"nothing_attached", joined(ask(0, {0, 0, 7, 8}), ask(1, {0, 0, 7, 8}), ask(0, {1, 0, 7, 0}))},
            {"short", joined(std::string("\1\3abc", 5))}};
}

const Target target("block_store", &run, &seeds);

}  // namespace
