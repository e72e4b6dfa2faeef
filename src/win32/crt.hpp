// What the C runtime needs to be told.
#pragma once

#include <cstdlib>

namespace multiproc::os {

// While this lives, the C runtime reports a descriptor that is not open as an error, on this thread. By default the
// current runtime ends the process instead; a host may have closed any of the standard descriptors.
class BadDescriptorsAreErrors {
public:
    BadDescriptorsAreErrors(const BadDescriptorsAreErrors&) = delete;
    BadDescriptorsAreErrors& operator=(const BadDescriptorsAreErrors&) = delete;
#if defined(_MSC_VER)
    BadDescriptorsAreErrors() noexcept
        : previous_(_set_thread_local_invalid_parameter_handler(
              [](const wchar_t*, const wchar_t*, const wchar_t*, unsigned, uintptr_t) {})) {}
    ~BadDescriptorsAreErrors() { _set_thread_local_invalid_parameter_handler(previous_); }

private:
    _invalid_parameter_handler previous_;
#else
    BadDescriptorsAreErrors() noexcept {}  // the runtime that MinGW links does so always
    ~BadDescriptorsAreErrors() {}
#endif
};

}  // namespace multiproc::os
