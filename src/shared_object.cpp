#include "shared_object.hpp"

#include <multiproc/errors.hpp>

#include "per_process.hpp"
#include "reentry.hpp"

namespace multiproc {

ObjectRegistry& ObjectRegistry::get() { return of_this_process<ObjectRegistry>(); }

detail::ObjectRef ObjectRegistry::create(detail::ObjectKind kind, std::size_t bytes) {
    require_reentry();
    const Arena::Ref ref = Runtime::get().create_object(static_cast<Arena::Kind>(kind), bytes);
    const std::lock_guard lock(mutex_);
    return add_locked(ref);
}

std::unique_lock<std::mutex> ObjectRegistry::lend_all(Runtime::ProcessRef child) {
    std::unique_lock lock(mutex_);
    for (const auto& [name, users] : objects_) {
        const Arena::Ref ref = Arena::Ref::unpack(name);
        // But not the ends of pipes: what a child has only because it is a copy must not hide that an end is gone.
        if (Runtime::get().arena().kind(ref) == static_cast<Arena::Kind>(detail::ObjectKind::pipe_end)) continue;
        Runtime::get().lend_object(ref, child);
    }
    return lock;
}

detail::ObjectRef ObjectRegistry::require(Arena::Ref ref) {
    Arena& arena = Runtime::get().arena();
    std::unique_lock lock(mutex_);
    for (auto known = objects_.find(ref.pack()); known != objects_.end(); known = objects_.find(ref.pack())) {
        if (detail::ObjectRef object = known->second.lock()) return object;
        has_left_.wait(lock);  // the last user here is just leaving, and gives this process's hold up
    }
    if (!arena.hold(ref)) {
        throw CodecError(
            "multiproc: a message names a shared object that is gone (a message that is encoded by hand is good for as "
            "long as its buffer lives)");
    }
    return add_locked(ref);
}

// Of an object that this process holds already; it is let go of if that fails.
detail::ObjectRef ObjectRegistry::add_locked(Arena::Ref ref) {
    Arena& arena = Runtime::get().arena();
    try {
        std::weak_ptr<detail::SharedObject>& entry = objects_[ref.pack()];
        auto object = std::make_shared<detail::SharedObject>(arena, ref);
        entry = object;
        return object;
    } catch (...) {
        objects_.erase(ref.pack());
        arena.release(ref);
        throw;
    }
}

detail::ObjectRef ObjectRegistry::adopt_copy(Arena::Ref ref) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = copies_.find(ref.pack()); known != copies_.end()) return known->second;
    }
    detail::ObjectRef object = require(ref);
    const std::lock_guard lock(mutex_);
    return copies_.emplace(ref.pack(), std::move(object)).first->second;
}

// The last user is gone. What it knew goes first, as it may rest on the hold.
void ObjectRegistry::left(detail::SharedObject& object) noexcept {
    {
        const std::lock_guard lock(mutex_);
        delete object.local_.load(std::memory_order_acquire);
        objects_.erase(object.ref_.pack());
        object.arena_.release(object.ref_);
    }
    has_left_.notify_all();
}

namespace detail {

SharedObject::SharedObject(Arena& arena, Arena::Ref ref) noexcept
    : Shared(Kind::object), arena_(arena), ref_(ref), data_(arena.payload(ref)), owner_(os::current_pid()) {}

SharedObject::~SharedObject() {
    if (is_ours()) ObjectRegistry::get().left(*this);  // else nor is what goes with it
}

ObjectRef make_object(ObjectKind kind, std::size_t bytes) { return ObjectRegistry::get().create(kind, bytes); }
std::byte* state_of(const SharedObject& object) {
    if (object.is_ours() || Runtime::get().arena().has(object.data())) return object.data();
    throw ClosedError(
        "multiproc: this copy of the program was forked by the host and shares nothing with the original");
}
bool is_same_object(const SharedObject& a, const SharedObject& b) noexcept { return a.ref() == b.ref(); }
std::size_t size_of(const SharedObject& object) noexcept { return object.size(); }

void encode_object(OutputBuffer& out, const ObjectRef& object) {
    const std::uint64_t name = object->ref().pack();
    out.attach(object->is_ours() ? object : ObjectRegistry::get().adopt_copy(object->ref()));
    out.write(&name, sizeof name);
}

ObjectRef decode_object(InputBuffer& in, ObjectKind kind, std::size_t bytes) {
    std::uint64_t name = 0;
    in.read(&name, sizeof name);
    const Arena::Ref ref = Arena::Ref::unpack(name);
    ObjectRef object = ObjectRegistry::get().require(ref);
    if (Runtime::get().arena().kind(ref) != static_cast<Arena::Kind>(kind) || object->size() < bytes)
        throw CodecError("multiproc: a message names a shared object of another type than the one expected");
    return object;
}

}  // namespace detail
}  // namespace multiproc
