#include "shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <random>
#include <string>

#include "descriptors.hpp"
#include "platform.hpp"

namespace multiproc::os {

namespace {

using namespace posix;

#if MULTIPROC_LINUX_CALLS

constexpr bool sealed = true;

Handle create_memory(std::size_t size) {
    Handle memory;
    {
        DescriptorLock lock;
        int fd = -1;
#if defined(MFD_NOEXEC_SEAL)
        fd = ::memfd_create("multiproc", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
#endif
        if (fd < 0) fd = ::memfd_create("multiproc", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        memory = lock.own(fd, "memfd_create");
    }
    // Not by ftruncate, which a sandbox refuses: it would let a worker cut short the file that standard output goes to.
    if (retry([&] { return ::pwrite(fd_of(memory), "", 1, static_cast<off_t>(size - 1)); }) != 1) fail("pwrite");
    // Nobody who maps it can then be hit by a bus error because another process cut it shorter.
    if (::fcntl(fd_of(memory), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) fail("fcntl(F_ADD_SEALS)");
    return memory;
}

// Without fstat, which in many C libraries is a call that looks at paths too, and so is refused in a sandbox. Only what
// lies in memory can be sealed. Where its descriptors stand in it is of no use to anybody.
bool is_memory_of(int fd, std::size_t size) {
    const int seals = ::fcntl(fd, F_GET_SEALS);
    if (seals == -1 || (seals & F_SEAL_SHRINK) == 0) return false;
    const off_t end = ::lseek(fd, 0, SEEK_END);
    return end >= 0 && static_cast<std::size_t>(end) >= size;
}

#else

// macOS lets the size of shared memory be set only once, which does what a seal does. Elsewhere the portable way has no
// protection from a peer that cuts the memory shorter.
constexpr bool sealed = false;

Handle create_memory(std::size_t size) {
    // The name exists only until the next line; it is random, so that two processes do not meet, and short, because
    // macOS allows 31 characters.
    std::random_device random;
    for (int attempt = 0;; ++attempt) {
        const std::uint64_t number = (std::uint64_t(random()) << 32) | random();
        const std::string name = "/mp" + std::to_string(number);
        Handle memory;
        {
            DescriptorLock lock;
            const int fd = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
            if (fd < 0 && errno == EEXIST && attempt < 100) continue;
            const int error = errno;
            if (fd >= 0) ::shm_unlink(name.c_str());
            errno = error;
            memory = lock.own_and_close_on_exec(fd, "shm_open");
        }
        if (retry([&] { return ::ftruncate(fd_of(memory), static_cast<off_t>(size)); }) != 0) fail("ftruncate");
        return memory;
    }
}

bool is_memory_of(int fd, std::size_t size) {
    struct stat facts {};
    // macOS reports no file type at all for shared memory.
    return ::fstat(fd, &facts) == 0 && (S_ISREG(facts.st_mode) || (facts.st_mode & S_IFMT) == 0) &&
           facts.st_size >= 0 && static_cast<std::size_t>(facts.st_size) >= size;
}

#endif

std::byte* map(int fd, std::size_t size, Segment::Access access = Segment::Access::read_write) {
    const int protection = access == Segment::Access::read ? PROT_READ : PROT_READ | PROT_WRITE;
    void* const data = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
    return data == MAP_FAILED ? nullptr : static_cast<std::byte*>(data);
}

bool is_possible(std::size_t size) {
    return size != 0 && size <= static_cast<std::size_t>(std::numeric_limits<off_t>::max());
}

// A limit on the size of files holds for memory too, and to go beyond it ends the program.
bool is_allowed(std::size_t size) {
    rlimit files{};
    return ::getrlimit(RLIMIT_FSIZE, &files) != 0 || size <= files.rlim_cur;
}

}  // namespace

bool posix::segments_are_sealed() noexcept { return sealed; }

Segment::Segment(Segment&& other) noexcept
    : handle_(std::move(other.handle_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Segment& Segment::operator=(Segment&& other) noexcept {
    if (this == &other) return *this;
    if (data_ != nullptr) ::munmap(data_, size_);
    handle_ = std::move(other.handle_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
}

Segment::~Segment() {
    if (data_ != nullptr) ::munmap(data_, size_);
}

Segment Segment::create(std::size_t size) {
    if (!is_possible(size)) fail("the size of shared memory", EINVAL);
    if (!is_allowed(size)) fail("the limit on the size of files holds for shared memory, too", EFBIG);
    Handle memory = create_memory(size);
    std::byte* const data = map(fd_of(memory), size);
    if (data == nullptr) fail("mmap");
    return Segment(std::move(memory), data, size);
}

Segment Segment::adopt(Handle handle, std::size_t size, Access access) {
    const int fd = fd_of(handle);
    if (!handle || !is_possible(size) || !is_memory_of(fd, size))
        fail("this is no shared memory of the expected size", EBADMSG);
    std::byte* const data = map(fd, size, access);
    if (data == nullptr) {
        // A descriptor that is not open for reading and writing is a peer's fault, anything else this machine's.
        fail("mmap", errno == EACCES || errno == EPERM || errno == ENODEV ? EBADMSG : errno);
    }
    return Segment(std::move(handle), data, size);
}

// Memory is taken as it is touched anyway.
Handle Segment::create_sparse(std::size_t size) {
    if (!is_possible(size)) fail("the size of shared memory", EINVAL);
    // What is smaller than asked for is refused by who adopts it, that is, by who wants to use it.
    return create_memory(is_allowed(size) ? size : 4096);
}
Segment Segment::adopt_sparse(Handle handle, std::size_t size) { return adopt(std::move(handle), size); }
bool Segment::needs_commit() noexcept { return false; }
bool Segment::commit(std::size_t, std::size_t) const noexcept { return true; }

bool Segment::discard([[maybe_unused]] std::size_t offset, [[maybe_unused]] std::size_t size) const noexcept {
#if MULTIPROC_LINUX_CALLS
    // On the mapping, not on the descriptor, which this process may have closed. It makes a hole in the memory.
    return ::madvise(data_ + offset, size, MADV_REMOVE) == 0;
#else
    return false;
#endif
}

void expect_to_fill([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t size) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t large_page = 2u << 20;
    const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + large_page - 1) / large_page * large_page;
    const auto end = (reinterpret_cast<std::uintptr_t>(memory) + size) / large_page * large_page;
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace multiproc::os
