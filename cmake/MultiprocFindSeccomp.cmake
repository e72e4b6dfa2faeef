# Makes the target multiproc::seccomp, if libseccomp is there. The build and the installed package both include this file:
# who links multiproc's static library needs it, too.
if(NOT TARGET multiproc::seccomp)
    find_package(PkgConfig QUIET)
    if(PKG_CONFIG_FOUND)
        pkg_check_modules(PC_MULTIPROC_SECCOMP QUIET libseccomp)
    endif()
    find_path(MULTIPROC_SECCOMP_INCLUDE_DIR seccomp.h HINTS ${PC_MULTIPROC_SECCOMP_INCLUDE_DIRS})
    find_library(MULTIPROC_SECCOMP_LIBRARY seccomp HINTS ${PC_MULTIPROC_SECCOMP_LIBRARY_DIRS})
    mark_as_advanced(MULTIPROC_SECCOMP_INCLUDE_DIR MULTIPROC_SECCOMP_LIBRARY)
    if(MULTIPROC_SECCOMP_INCLUDE_DIR AND MULTIPROC_SECCOMP_LIBRARY)
        add_library(multiproc::seccomp UNKNOWN IMPORTED GLOBAL)
        set_target_properties(
            multiproc::seccomp PROPERTIES IMPORTED_LOCATION "${MULTIPROC_SECCOMP_LIBRARY}"
                                          INTERFACE_INCLUDE_DIRECTORIES "${MULTIPROC_SECCOMP_INCLUDE_DIR}")
    endif()
endif()
