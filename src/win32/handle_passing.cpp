// Windows has no message that carries a handle: a process that has the right to do so puts a copy right into the handle
// table of another one. The sender pushes, so that what it sent is the receiver's when the sender dies. (If it dies
// between the push and the entry described below, the receiver has one handle too many until it ends.)
//
// What was pushed is entered in a ring in memory that the two ends share; the token is the number of the entry. A child
// needs a handle of its parent's process with PROCESS_DUP_HANDLE for that, which amounts to full control over the
// parent: children are trusted as threads are. What the receiver is protected against are accidents: a token that was
// never sent, an entry that a wild pointer wrote. An entry counts only with a check that depends on a secret of this
// link, so that no other handle of the receiver is taken, and later closed, in place of a pushed one.
//
// A confined child has no such handle: its parent, who has one of it, pulls. What the child names there is its own, so it
// cannot have the parent take one of the parent's. What was not pulled is gone with the child.
#include <array>
#include <new>
#include <system_error>

#include "die_here.hpp"
#include "win32/api.hpp"
#include "win32/parent.hpp"

namespace multiproc::os {

namespace {

constexpr std::uint64_t link_magic = 0x316B6E696C646E68U;
constexpr std::size_t capacity = 2048;

struct Entry {
    std::uint64_t handle;  // its value in the receiver
    std::uint64_t check;
};

struct Direction {
    std::atomic<std::uint64_t> sent;      // written by the sender only
    std::atomic<std::uint64_t> received;  // written by the receiver only
    std::array<Entry, capacity> entries;
};

struct Shared {
    std::uint64_t magic;
    std::uint64_t secret;
    std::uint32_t parent_pid;
    std::uint32_t is_child_confined;
    Direction to_child;
    Direction to_parent;
};

std::uint64_t check_of(std::uint64_t secret, std::uint64_t token, std::uint64_t handle) noexcept {
    return mix(mix(secret, token), handle);
}

[[noreturn]] void refuse(const char* why) {
    throw std::system_error(std::make_error_code(std::errc::bad_message), why);
}

class PushingLink final : public HandleLink {
public:
    PushingLink(Segment segment, Handle peer, bool is_parent) : segment_(std::move(segment)), peer_(std::move(peer)) {
        auto& shared = *reinterpret_cast<Shared*>(segment_.data());
        secret_ = mix(shared.secret, is_parent ? 0 : 1);
        peer_secret_ = mix(shared.secret, is_parent ? 1 : 0);
        out_ = is_parent ? &shared.to_child : &shared.to_parent;
        in_ = is_parent ? &shared.to_parent : &shared.to_child;
        const bool is_confined = shared.is_child_confined != 0;
        is_pulled_from_ = is_confined && !is_parent;
        pulls_ = is_confined && is_parent;
    }

    PushingLink(const PushingLink&) = delete;
    PushingLink& operator=(const PushingLink&) = delete;

    // Closes what was sent here and nobody asked for.
    ~PushingLink() override {
        const std::uint64_t end = in_->sent.load(std::memory_order_acquire);
        while (received_ != end && end - received_ <= capacity) take();
    }

    void connect(const Child& child) override {
        peer_ = duplicate_with(native(child.sentinel()), PROCESS_DUP_HANDLE | SYNCHRONIZE, false);
    }

    std::uint64_t send(std::span<const RawHandle> handles) override {
        for (const RawHandle handle : handles)
            if (!is_object(handle)) throw_system_error("cannot send a handle that is none", ERROR_INVALID_HANDLE);
        if (!peer_ && !is_pulled_from_)
            throw std::system_error(std::make_error_code(std::errc::not_connected), "cannot send a handle");
        // A dead process has no handle table to push into; the call would say "access denied".
        if (!is_pulled_from_ && WaitForSingleObject(native(peer_.raw()), 0) == WAIT_OBJECT_0) {
            throw std::system_error(std::make_error_code(std::errc::broken_pipe), "the receiver of a handle has ended");
        }
        const std::uint64_t token = sent_;
        // Acquire: the receiver has read the entry that this one replaces.
        if (token + handles.size() - out_->received.load(std::memory_order_acquire) > capacity) {
            throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                                    "too many sent handles are waiting to be received");
        }
        for (const RawHandle handle : handles) {
            HANDLE pushed = nullptr;
            const HANDLE target = is_pulled_from_ ? GetCurrentProcess() : native(peer_.raw());
            if (DuplicateHandle(GetCurrentProcess(), native(handle), target, &pushed, 0, FALSE,
                                DUPLICATE_SAME_ACCESS) == 0) {
                throw_last_error("cannot send a handle");  // those before it are dropped by the next token
            }
            die_here(DeathPoint::handle_pushed);
            Entry& entry = out_->entries[sent_ % capacity];
            entry.handle = static_cast<std::uint64_t>(raw(pushed));
            entry.check = check_of(secret_, sent_, entry.handle);
            out_->sent.store(++sent_, std::memory_order_release);
            die_here(DeathPoint::handles_sent);
        }
        return token;
    }

    std::vector<Handle> receive(std::uint64_t token, std::size_t count) override {
        const std::uint64_t end = in_->sent.load(std::memory_order_acquire);
        if (end - received_ > capacity || token - received_ > end - received_ || count > end - token)
            refuse("no handle was sent by that token");
        while (received_ != token) take();  // handles whose tokens were lost on their way
        std::vector<Handle> handles;
        while (handles.size() < count) {
            handles.push_back(take());
            if (!handles.back()) refuse("the entry of a sent handle is damaged");
        }
        return handles;
    }

private:
    Handle take() noexcept {
        const Entry entry = in_->entries[received_ % capacity];  // one private copy: the peer can still write there
        const bool is_genuine = entry.check == check_of(peer_secret_, received_, entry.handle);
        const auto handle = static_cast<RawHandle>(entry.handle);
        Handle taken = !is_genuine ? Handle() : pulls_ ? pull(handle) : Handle(handle);
        in_->received.store(++received_, std::memory_order_release);
        die_here(DeathPoint::handles_received);
        return taken;
    }

    Handle pull(RawHandle handle) const noexcept {
        HANDLE copy = nullptr;
        if (!peer_ || !is_object(handle) ||
            DuplicateHandle(native(peer_.raw()), native(handle), GetCurrentProcess(), &copy, 0, FALSE,
                            DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE) == 0)
            return {};
        return own(copy);
    }

    Segment segment_;
    Handle peer_;
    std::uint64_t secret_ = 0;       // of what this end sends, as it was before anybody could have scribbled over it
    std::uint64_t peer_secret_ = 0;  // of what it receives
    bool is_pulled_from_ = false;
    bool pulls_ = false;
    Direction* out_ = nullptr;
    Direction* in_ = nullptr;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
};

}  // namespace

std::pair<std::unique_ptr<HandleLink>, Handle> HandleLink::create(Peer child) {
    Segment segment = Segment::create(sizeof(Shared));
    auto* shared = new (segment.data()) Shared;  // the counters are 0; an entry is written before it is read
    shared->magic = link_magic;
    shared->secret = random_number();
    shared->parent_pid = GetCurrentProcessId();
    shared->is_child_confined = child == Peer::confined ? 1 : 0;
    Handle child_end = duplicate(segment.handle());
    return {std::make_unique<PushingLink>(std::move(segment), Handle(), true), std::move(child_end)};
}

std::unique_ptr<HandleLink> HandleLink::adopt(Handle child_end) {
    Segment segment = Segment::adopt(std::move(child_end), sizeof(Shared));
    const auto& shared = *reinterpret_cast<const Shared*>(segment.data());
    if (shared.magic != link_magic) refuse("not the child's end of a handle link");
    Handle parent = shared.is_child_confined != 0 ? Handle() : process_to_send_to(shared.parent_pid);
    return std::make_unique<PushingLink>(std::move(segment), std::move(parent), false);
}

}  // namespace multiproc::os
