#include "../load_library.hpp"

#include <dlfcn.h>

namespace multiproc::test {

LoadedLibrary::LoadedLibrary(const std::string& path) : handle_(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw std::runtime_error(::dlerror());
}

void* LoadedLibrary::address_of(const char* name) const {
    void* const address = ::dlsym(handle_, name);
    if (address == nullptr) throw std::runtime_error(std::string("no ") + name);
    return address;
}

}  // namespace multiproc::test
