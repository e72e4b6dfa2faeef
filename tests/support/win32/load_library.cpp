#include "../load_library.hpp"

#include <windows.h>

namespace multiproc::test {

LoadedLibrary::LoadedLibrary(const std::string& path) : handle_(LoadLibraryA(path.c_str())) {
    if (handle_ == nullptr) throw std::runtime_error("cannot load " + path);
}

void* LoadedLibrary::address_of(const char* name) const {
    const FARPROC address = GetProcAddress(static_cast<HMODULE>(handle_), name);
    if (address == nullptr) throw std::runtime_error(std::string("no ") + name);
    return reinterpret_cast<void*>(address);
}

}  // namespace multiproc::test
