// The ledger's memory has a name for as long as the driver runs, since every process of a family must find it.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "../port.hpp"

namespace chaos::port {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

std::string new_region_name() { return "/multiproc-chaos-" + std::to_string(::getpid()); }

void* map_region(const std::string& name, std::size_t size, bool create) {
    const int descriptor = ::shm_open(name.c_str(), O_RDWR | (create ? O_CREAT | O_EXCL : 0), 0600);
    if (descriptor < 0) fail("cannot open the ledger");
    // The family may run as another user.
    if (create && (::fchmod(descriptor, 0666) != 0 || ::ftruncate(descriptor, static_cast<off_t>(size)) != 0))
        fail("cannot make the ledger");
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) fail("cannot map the ledger");
    ::close(descriptor);
    return memory;
}

void remove_region(const std::string& name) noexcept { ::shm_unlink(name.c_str()); }

}  // namespace chaos::port
