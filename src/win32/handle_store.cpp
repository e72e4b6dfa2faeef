// Any process of the program can put a handle right into the first one's table, copy one from there, and close one
// there: children inherit a handle of that process with PROCESS_DUP_HANDLE. So nobody has to be asked. The place of a
// kept handle is its value there; it must be dropped once only, since the value may be another handle's afterwards. If a
// process dies between putting a handle there and telling where it is, the first process has one handle too many until it
// ends.
#include <system_error>

#include "win32/api.hpp"

namespace multiproc::os {

namespace {

class PushingStore final : public HandleStore {
public:
    explicit PushingStore(Handle first) noexcept : first_(std::move(first)) {}

    RawHandle handle() override { return first_.raw(); }

    std::uint64_t keep(std::uint64_t, std::uint64_t, RawHandle handle) override {
        if (!is_object(handle)) throw_system_error("cannot keep a handle that is none", ERROR_INVALID_HANDLE);
        HANDLE kept = nullptr;
        if (DuplicateHandle(GetCurrentProcess(), native(handle), native(first_.raw()), &kept, 0, FALSE,
                            DUPLICATE_SAME_ACCESS) == 0)
            throw_last_error("cannot hand shared memory to the first process of the program");
        return static_cast<std::uint64_t>(raw(kept));
    }

    Handle fetch(std::uint64_t, std::uint64_t place) override {
        HANDLE copy = nullptr;
        if (place == 0 || DuplicateHandle(native(first_.raw()), native(static_cast<RawHandle>(place)),
                                          GetCurrentProcess(), &copy, 0, FALSE, DUPLICATE_SAME_ACCESS) == 0)
            throw_last_error("shared memory that a message refers to is not there any more");
        return own(copy);
    }

    void drop(std::uint64_t, std::uint64_t place) noexcept override {
        if (place == 0) return;
        // It is moved here and closed: without a place to move it to, Wine does not close it there.
        HANDLE moved = nullptr;
        DuplicateHandle(native(first_.raw()), native(static_cast<RawHandle>(place)), GetCurrentProcess(), &moved, 0,
                        FALSE, DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE);
        own(moved).reset();
    }

private:
    Handle first_;
};

}  // namespace

std::unique_ptr<HandleStore> HandleStore::create(IsWanted) {
    return std::make_unique<PushingStore>(duplicate_with(GetCurrentProcess(), PROCESS_DUP_HANDLE, false));
}

std::unique_ptr<HandleStore> HandleStore::adopt(Handle handle) {
    if (!is_object(handle.raw()))
        throw std::system_error(std::make_error_code(std::errc::bad_message), "not the handle of a process");
    return std::make_unique<PushingStore>(std::move(handle));
}

}  // namespace multiproc::os
