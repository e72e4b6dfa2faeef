// Loads a shared library at run time, as a program loads its plugins. It stays loaded.
#pragma once

#include <stdexcept>
#include <string>

namespace multiproc::test {

class LoadedLibrary {
public:
    // Throws std::runtime_error.
    explicit LoadedLibrary(const std::string& path);

    template <class F>
    F* function(const char* name) const {
        return reinterpret_cast<F*>(address_of(name));
    }

private:
    void* address_of(const char* name) const;
    void* handle_;
};

}  // namespace multiproc::test
