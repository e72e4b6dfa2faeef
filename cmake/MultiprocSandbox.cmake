# Sandboxes for workers on Linux, by libseccomp; other systems need no library for what they have.
include_guard(GLOBAL)

set(MULTIPROC_SANDBOX AUTO CACHE STRING "Sandboxes for workers: ON, OFF, or AUTO, if what they need is there")
set_property(CACHE MULTIPROC_SANDBOX PROPERTY STRINGS AUTO ON OFF)
set(multiproc_HAS_SECCOMP FALSE)
if(NOT MULTIPROC_SANDBOX OR NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR MULTIPROC_PORTABLE_POSIX)
    return()
endif()

include(MultiprocFindSeccomp)
# A library that was found need not be one for the target: when compiling for another system, CMake may find this
# machine's own. So the choice is made by linking with it.
if(TARGET multiproc::seccomp)
    include(CheckCXXSourceCompiles)
    set(CMAKE_REQUIRED_LIBRARIES multiproc::seccomp)
    check_cxx_source_compiles(
        "#include <seccomp.h>
        int main() { return seccomp_attr_set(seccomp_init(SCMP_ACT_ERRNO(1)), SCMP_FLTATR_CTL_TSYNC, 1); }"
        MULTIPROC_SECCOMP_LINKS)
    unset(CMAKE_REQUIRED_LIBRARIES)
endif()
if(TARGET multiproc::seccomp AND MULTIPROC_SECCOMP_LINKS)
    set(multiproc_HAS_SECCOMP TRUE)
    target_link_libraries(multiproc PRIVATE multiproc::seccomp)
    # The one file that asks.
    set_source_files_properties(src/posix/sandbox.cpp PROPERTIES COMPILE_DEFINITIONS MULTIPROC_SECCOMP)
elseif(MULTIPROC_SANDBOX STREQUAL "AUTO")
    message(STATUS "Sandboxes for workers are left out: they need libseccomp (Debian and Ubuntu: libseccomp-dev)")
else()
    message(FATAL_ERROR "Sandboxes for workers need libseccomp (Debian and Ubuntu: libseccomp-dev); "
                        "or switch them off by -D MULTIPROC_SANDBOX=OFF")
endif()
