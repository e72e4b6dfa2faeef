// The first process keeps descriptors in a table. Others ask it through one socket that all of them inherit: a datagram
// says what is wanted, and attached to it is one end of a socket for the answer (and what is to be kept). So no process
// has a connection of its own, nothing of a question is left when its sender dies, and if the answer never comes, because
// the program has closed its descriptors or may have no more of them, the system closes the other end and the wait is
// over. The thread that awaits the ends of children answers: it is there as soon as there is somebody who can ask.
//
// That something is not needed any more is said without awaiting an answer. If it cannot be said, since the first process
// was not scheduled for a second, the descriptor stays open there, and is looked at when others have come: see `tidy`.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <unordered_map>

#include "die_here.hpp"
#include "exit_watch.hpp"
#include "launching.hpp"
#include "messages.hpp"

namespace multiproc::os {

namespace {

using namespace posix;

// So many descriptors of its limit are left to the program.
constexpr rlim_t left_to_program = 16;
// A process that asks for nothing else does not wait longer than about this for room for its message, in milliseconds.
constexpr int longest_farewell = 1000;
constexpr int most_at_once = 64;
// For an answer, in milliseconds. It is there at once, unless the first process is stopped, or has another file, of which
// there is no news, under the number of a socket that its thread sleeps at: then the sleep goes on, and keeps the socket.
constexpr int longest_silence = 10'000;

enum class Wish : std::uint32_t { keep, fetch, drop };
struct Question {
    Wish wish = Wish::drop;
    std::uint32_t unused = 0;
    std::uint64_t name = 0;
    std::uint64_t content = 0;
};
struct Answer {
    std::int32_t error = 0;
};

// A socket that the program may close behind our back, and have another file under its number.
class KnownSocket {
public:
    KnownSocket() = default;
    explicit KnownSocket(Handle socket) noexcept : socket_(std::move(socket)) {
        struct stat facts {};
        if (::fstat(fd_of(socket_), &facts) != 0 || !S_ISSOCK(facts.st_mode)) return;
        device_ = facts.st_dev;
        number_ = facts.st_ino;
        is_socket_ = true;
    }
    ~KnownSocket() {
        if (socket_ && !is_intact()) socket_.release();
    }
    KnownSocket(KnownSocket&&) = default;
    KnownSocket& operator=(KnownSocket&&) = default;

    bool is_intact() const noexcept { return is_socket_ && is_that(fd_of(socket_), device_, number_); }
    RawHandle raw() const noexcept { return socket_.raw(); }
    dev_t device() const noexcept { return device_; }
    ino_t number() const noexcept { return number_; }

    static bool is_that(int fd, dev_t device, ino_t number) noexcept {
        struct stat facts {};
        return ::fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode) && facts.st_dev == device && facts.st_ino == number;
    }

private:
    Handle socket_;
    dev_t device_ = 0;
    ino_t number_ = 0;
    bool is_socket_ = false;
};

// A copy that the program forks would keep questions waiting that nobody answers any more, once the original has closed
// its descriptors: so it closes the socket at once. What its handler needs, without a lock.
struct OwnQuestions {
    std::atomic<int> fd{-1};
    std::atomic<dev_t> device{0};
    std::atomic<ino_t> number{0};
};
OwnQuestions own_questions;

void drop_in_copy() noexcept {
    const int fd = own_questions.fd.exchange(-1);
    if (fd < 0 || !KnownSocket::is_that(fd, own_questions.device, own_questions.number)) return;
    forget_in_copy(fd);
    ::close(fd);
}

void see_to_copies(const KnownSocket& questions) noexcept {
    own_questions.device = questions.device();
    own_questions.number = questions.number();
    own_questions.fd = fd_of(questions.raw());
    static std::atomic<bool> registered{false};  // copies inherit the handler
    if (!registered.exchange(true)) ::pthread_atfork(nullptr, nullptr, drop_in_copy);
}

// The table, and the first process's end of the socket.
class Keeper final : public Responder {
public:
    explicit Keeper(HandleStore::IsWanted is_wanted) noexcept : is_wanted_(is_wanted) {}

    // Before anybody can ask.
    void listen(Handle inside) {
        KnownSocket socket(std::move(inside));
        see_to_copies(socket);
        const std::lock_guard lock(mutex_);
        inside_ = std::move(socket);
        is_open_ = true;
    }

    int questions() const noexcept override { return is_open_ && inside_.is_intact() ? fd_of(inside_.raw()) : -1; }

    void answer() noexcept override {
        try {
            // Not without end, as the thread has other things to do.
            for (int i = 0; i < most_at_once && questions() != -1 && answer_one(); ++i) {}
        } catch (const std::exception&) {}  // no memory: the end of the answer's socket tells the other side
    }

    // Returns 0 or the error number.
    int keep(std::uint64_t name, std::uint64_t content, Handle handle) {
        const std::lock_guard lock(mutex_);
        if (names_.size() >= untidy_) tidy();
        std::weak_ptr<const Handle>& known = contents_[content];
        std::shared_ptr<const Handle> kept = known.lock();
        if (!kept) {
            rlimit files{};
            const auto number = static_cast<rlim_t>(fd_of(handle));
            if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && number + left_to_program >= files.rlim_cur) {
                contents_.erase(content);
                return EMFILE;
            }
            known = kept = std::make_shared<const Handle>(std::move(handle));
        }
        names_[name] = {content, std::move(kept)};
        return 0;
    }
    Handle copy_of(std::uint64_t name) {
        const std::lock_guard lock(mutex_);
        const auto found = names_.find(name);
        return found == names_.end() ? Handle() : duplicate(found->second.handle->raw());
    }
    void drop(std::uint64_t name) noexcept {
        const std::lock_guard lock(mutex_);
        const auto found = names_.find(name);
        if (found != names_.end()) forget(found);
    }

private:
    struct Kept {
        std::uint64_t content = 0;
        std::shared_ptr<const Handle> handle;  // of all names of this content
    };
    std::unordered_map<std::uint64_t, Kept>::iterator forget(std::unordered_map<std::uint64_t, Kept>::iterator entry) {
        if (entry->second.handle.use_count() == 1) contents_.erase(entry->second.content);
        return names_.erase(entry);
    }
    // Drops what nobody wants. Rarely, as it looks at everything.
    void tidy() {
        for (auto entry = names_.begin(); entry != names_.end();)
            entry = is_wanted_(entry->first) ? std::next(entry) : forget(entry);
        untidy_ = std::max(least_untidy, 2 * names_.size());
    }
    // False if there is none.
    bool answer_one() {
        Question question;
        Received received = receive_some(fd_of(inside_.raw()), &question, sizeof question, MSG_DONTWAIT);
        std::vector<Handle>& attached = received.descriptors;
        if (received.size == 0) {
            // Of what is broken for good nobody is to be woken again and again.
            if (received.error != EAGAIN && received.error != EWOULDBLOCK) is_open_ = false;
            return false;
        }
        if (received.size != sizeof question) return true;
        if (question.wish == Wish::drop) drop(question.name);
        if (question.wish == Wish::drop || attached.empty()) return true;
        Answer answer;
        Handle copy;
        if (question.wish == Wish::keep) {
            answer.error =
                attached.size() == 2 ? keep(question.name, question.content, std::move(attached[1])) : EMFILE;
        } else {
            try {
                copy = copy_of(question.name);
                if (!copy) answer.error = ENOENT;
            } catch (const std::system_error& error) { answer.error = error.code().value(); }
        }
        std::vector<int> enclosed;
        if (copy) enclosed.push_back(fd_of(copy));
        const int asker = fd_of(attached[0]);
        const int error = send_all(asker, &answer, sizeof answer, enclosed, MSG_DONTWAIT);
        if (error == 0 || enclosed.empty()) return true;
        answer.error = error;  // there are limits on how many may be on their way
        send_all(asker, &answer, sizeof answer, {}, MSG_DONTWAIT);
        return true;
    }

    std::mutex mutex_;
    std::unordered_map<std::uint64_t, Kept> names_;
    std::unordered_map<std::uint64_t, std::weak_ptr<const Handle>> contents_;
    static constexpr std::size_t least_untidy = 32;
    std::size_t untidy_ = least_untidy;
    const HandleStore::IsWanted is_wanted_;
    KnownSocket inside_;
    std::atomic<bool> is_open_{false};
};

[[noreturn]] void fail_full() {
    fail("multiproc: the first process of the program can have no more open files", EMFILE);
}
[[noreturn]] void fail_gone() {
    fail("multiproc: shared memory that a message refers to is not there any more", ENOENT);
}

class FirstStore final : public HandleStore {
public:
    explicit FirstStore(IsWanted is_wanted) : keeper_(std::make_shared<Keeper>(is_wanted)) {}

    RawHandle handle() override {
        const std::lock_guard lock(mutex_);
        if (!outside_) {
            auto [inside, outside] = make_socket_pair(SOCK_DGRAM);
            keeper_->listen(std::move(inside));
            outside_ = std::move(outside);
        }
        exit_watch()->answer_for(keeper_);
        return outside_.raw();
    }
    std::uint64_t keep(std::uint64_t name, std::uint64_t content, RawHandle handle) override {
        if (keeper_->keep(name, content, duplicate(handle)) != 0) fail_full();
        return 0;
    }
    Handle fetch(std::uint64_t name, std::uint64_t) override {
        Handle copy = keeper_->copy_of(name);
        if (!copy) fail_gone();
        return copy;
    }
    void drop(std::uint64_t name, std::uint64_t) noexcept override { keeper_->drop(name); }

private:
    const std::shared_ptr<Keeper> keeper_;
    std::mutex mutex_;
    Handle outside_;
};

class DistantStore final : public HandleStore {
public:
    explicit DistantStore(Handle outside) noexcept : outside_(std::move(outside)) {}

    RawHandle handle() override { return outside_.raw(); }
    std::uint64_t keep(std::uint64_t name, std::uint64_t content, RawHandle handle) override {
        if (handle == no_handle) fail("multiproc: keeping a handle that is none", EBADF);
        ask({Wish::keep, 0, name, content}, handle);
        return 0;
    }
    Handle fetch(std::uint64_t name, std::uint64_t) override {
        Handle copy = ask({Wish::fetch, 0, name, 0}, no_handle);
        if (!copy) fail("multiproc: taking in shared memory", EMFILE);
        return copy;
    }
    void drop(std::uint64_t name, std::uint64_t) noexcept override {
        if (!outside_.is_intact()) return;
        const Question question{Wish::drop, 0, name, 0};
        for (int tries = 0; tries < longest_farewell; ++tries) {
            const int error = send_all(fd_of(outside_.raw()), &question, sizeof question, {}, MSG_DONTWAIT);
            if (error != EAGAIN && error != EWOULDBLOCK && error != ENOBUFS) return;
            ::poll(nullptr, 0, 1);
        }
    }

private:
    // What the answer brings.
    Handle ask(const Question& question, RawHandle enclosed) {
        if (!outside_.is_intact())
            fail("multiproc: the program has closed descriptors of the library, so it cannot hand shared memory on",
                 EBADF);
        auto [ours, firsts] = make_socket_pair(SOCK_STREAM);
        std::vector<int> attached{fd_of(firsts)};
        if (enclosed != no_handle) attached.push_back(fd_of(enclosed));
        send(question, attached);
        die_here(DeathPoint::store_asked);
        firsts.reset();
        Answer answer;
        std::vector<Handle> handles;
        pollfd news{fd_of(ours), POLLIN, 0};
        if (retry([&] { return ::poll(&news, 1, longest_silence); }) == 0) fail_unanswered(ETIMEDOUT);
        if (!receive_all(fd_of(ours), &answer, sizeof answer, handles)) fail_unanswered(ECONNRESET);
        die_here(DeathPoint::store_answer_got);
        if (answer.error == ENOENT) fail_gone();
        if (answer.error == EMFILE) fail_full();
        if (answer.error != 0) fail("multiproc: asking the first process of the program", answer.error);
        return handles.empty() ? Handle() : std::move(handles.front());
    }
    void send(const Question& question, const std::vector<int>& attached) {
        int error = 0;
        do {
            // Waits while many others ask.
            error = send_all(fd_of(outside_.raw()), &question, sizeof question, attached);
            if (error == ENOBUFS) ::poll(nullptr, 0, 1);  // macOS does not wait for room
        } while (error == ENOBUFS);
        if (error == EBADF || error == EMFILE) fail("multiproc: handing shared memory on", error);
        // So many may be on their way for all processes of a user, as each of them may have open.
        if (error == ETOOMANYREFS) fail("multiproc: handing shared memory on", EAGAIN);
        if (error != 0) fail_unanswered(error);
    }
    [[noreturn]] static void fail_unanswered(int error) {
        fail(
            "multiproc: the first process of the program keeps no shared memory: it has closed descriptors of the "
            "library, is stopped, or can have no more open files",
            error);
    }

    KnownSocket outside_;
};

}  // namespace

std::unique_ptr<HandleStore> HandleStore::create(IsWanted is_wanted) { return std::make_unique<FirstStore>(is_wanted); }

std::unique_ptr<HandleStore> HandleStore::adopt(Handle handle) {
    return std::make_unique<DistantStore>(std::move(handle));
}

}  // namespace multiproc::os
