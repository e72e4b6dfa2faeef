// A segment is a section of the paging file without a name. Windows charges its whole size against the commit limit
// when it is made and takes physical pages as they are touched. Nobody can shrink a section, so what is mapped stays
// mapped.
#include <system_error>

#include "win32/api.hpp"

#define PSAPI_VERSION 2  // its functions are in kernel32.dll, so that no further library has to be linked
#include <psapi.h>

namespace multiproc::os {

namespace {

[[noreturn]] void refuse(const char* why) {
    throw std::system_error(std::make_error_code(std::errc::bad_message), why);
}

[[noreturn]] void fail(const char* action, std::size_t size) {
    const DWORD error = GetLastError();
    throw_system_error(std::string("cannot ") + action + " shared memory of " + std::to_string(size) + " bytes", error);
}

Handle create_section(std::size_t size, DWORD protection) {
    // A size of 0 would mean "as big as the file", and there is no file.
    if (size == 0) throw_system_error("cannot create shared memory of 0 bytes", ERROR_INVALID_PARAMETER);
    const auto wide = static_cast<std::uint64_t>(size);
    Handle handle = own(CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, protection, static_cast<DWORD>(wide >> 32),
                                           static_cast<DWORD>(wide), nullptr));
    if (!handle) fail("create", size);
    return handle;
}

// Unmaps on failure only.
class View {
public:
    View(HANDLE section, std::size_t size, Segment::Access access = Segment::Access::read_write) noexcept
        : address_(MapViewOfFile(
              section, access == Segment::Access::read ? FILE_MAP_READ : FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, size)) {}
    View(const View&) = delete;
    View& operator=(const View&) = delete;
    ~View() {
        if (address_ != nullptr) UnmapViewOfFile(address_);
    }

    void* address() const noexcept { return address_; }
    std::byte* release() noexcept { return static_cast<std::byte*>(std::exchange(address_, nullptr)); }

private:
    void* address_;
};

}  // namespace

Segment::Segment(Segment&& other) noexcept
    : handle_(std::move(other.handle_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Segment& Segment::operator=(Segment&& other) noexcept {
    if (this != &other) {
        if (data_ != nullptr) UnmapViewOfFile(data_);
        handle_ = std::move(other.handle_);
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

Segment::~Segment() {
    if (data_ != nullptr) UnmapViewOfFile(data_);
}

Segment Segment::create(std::size_t size) {
    Handle handle = create_section(size, PAGE_READWRITE);
    View view(native(handle.raw()), size);
    if (view.address() == nullptr) fail("map", size);
    return Segment(std::move(handle), view.release(), size);
}

Segment Segment::adopt(Handle handle, std::size_t size, Access access) {
    if (!is_object(handle.raw()) || size == 0) refuse("not a handle to shared memory");
    // The system maps no view that is longer than its section, so this is the check of the size already (in pages: the
    // rest of the last page is there for everybody).
    View view(native(handle.raw()), size, access);
    if (view.address() == nullptr) {
        if (GetLastError() == ERROR_NOT_ENOUGH_MEMORY) throw_last_error("cannot map shared memory");
        refuse("not shared memory of the promised size");
    }
    // Reserved pages would fault when they are touched, and an image or a file is not what a peer of ours sends.
    const DWORD protection = access == Access::read ? PAGE_READONLY : PAGE_READWRITE;
    MEMORY_BASIC_INFORMATION region{};
    if (VirtualQuery(view.address(), &region, sizeof region) == 0 || region.Type != MEM_MAPPED ||
        region.State != MEM_COMMIT || region.Protect != protection || region.RegionSize < size) {
        refuse("not shared memory of the kind that was promised");
    }
    wchar_t file[1024];
    if (GetMappedFileNameW(GetCurrentProcess(), view.address(), file, 1024) != 0) refuse("a file, not shared memory");
    return Segment(std::move(handle), view.release(), size);
}

// SEC_RESERVE: its pages are charged against the commit limit when a process commits them, for all processes.
Handle Segment::create_sparse(std::size_t size) { return create_section(size, PAGE_READWRITE | SEC_RESERVE); }

Segment Segment::adopt_sparse(Handle handle, std::size_t size) {
    View view(native(handle.raw()), size);
    if (view.address() == nullptr) throw_last_error("cannot map shared memory");
    return Segment(std::move(handle), view.release(), size);
}

bool Segment::needs_commit() noexcept { return true; }
bool Segment::commit(std::size_t offset, std::size_t size) const noexcept {
    return VirtualAlloc(data_ + offset, size, MEM_COMMIT, PAGE_READWRITE) != nullptr;
}

// What was committed in a section stays so until the section is gone.
bool Segment::discard(std::size_t, std::size_t) const noexcept { return false; }

// Large pages need a privilege here.
void expect_to_fill(void*, std::size_t) noexcept {}

}  // namespace multiproc::os
