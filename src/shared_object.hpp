// Objects of the arena, and who in this process uses them.
//
// The arena knows whether a process holds an object, not how often: here its users are counted. Messages name an object;
// whoever sends one keeps the object until the receiver holds it too (OutputBuffer::attach).
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <multiproc/detail/shared_object.hpp>

#include "arena.hpp"
#include "runtime.hpp"
#include "shared.hpp"

namespace multiproc {

class ObjectRegistry;

namespace detail {

// What this process knows of an object besides.
class LocalPart {
public:
    virtual ~LocalPart() = default;
};

// One for all users of an object in this process.
class SharedObject final : public Shared {
public:
    SharedObject(Arena& arena, Arena::Ref ref) noexcept;
    ~SharedObject();

    Arena::Ref ref() const noexcept { return ref_; }
    std::byte* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return arena_.payload_size(ref_); }
    // Made by the first call, by a function from (Arena&, std::byte* payload) to a unique_ptr. Thread-safe.
    template <class Make>
    LocalPart& local_part(Make make) {
        LocalPart* known = local_.load(std::memory_order_acquire);
        if (known != nullptr) return *known;
        std::unique_ptr<LocalPart> fresh = make(arena_, data_);
        if (local_.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
        return *known;
    }
    // False in a copy of the process, made by fork: the hold is the original's.
    bool is_ours() const noexcept { return owner_ == os::current_pid(); }

private:
    friend class multiproc::ObjectRegistry;
    Arena& arena_;
    Arena::Ref ref_;
    std::byte* data_;
    std::uint32_t owner_;
    std::atomic<LocalPart*> local_{nullptr};
};

}  // namespace detail

// The objects that this process holds. Thread-safe.
class ObjectRegistry {
public:
    static ObjectRegistry& get();

    detail::ObjectRef create(detail::ObjectKind kind, std::size_t bytes);
    // While this lives, nothing is added; `child`, which is about to be made by fork, holds all there is.
    std::unique_lock<std::mutex> lend_all(Runtime::ProcessRef child);
    // The object of this name, held from now on. Throws CodecError if there is none.
    detail::ObjectRef require(Arena::Ref ref);
    // The same for one that this process has as a copy of another, made by fork. It stays for good, as nobody here knows
    // how many copies there are.
    detail::ObjectRef adopt_copy(Arena::Ref ref);

private:
    friend class detail::SharedObject;
    detail::ObjectRef add_locked(Arena::Ref ref);
    void left(detail::SharedObject& object) noexcept;

    std::mutex mutex_;
    std::condition_variable has_left_;
    std::unordered_map<std::uint64_t, detail::ObjectRef> copies_;
    std::unordered_map<std::uint64_t, std::weak_ptr<detail::SharedObject>> objects_;
};

// The name of an attachment that is an object.
inline Arena::Ref name_of(const detail::Attachment& attachment) noexcept {
    return static_cast<const detail::SharedObject&>(*attachment).ref();
}

}  // namespace multiproc
