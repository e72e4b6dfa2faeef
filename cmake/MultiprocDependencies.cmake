# Finds what multiproc needs. The build and the installed package both include this file, so that both accept the same
# systems: a CMake package of the dependency where there is one, else its headers anywhere on the include path.
#
# It provides the targets cereal::cereal and Threads::Threads, and sets multiproc_DEPENDENCY_PROBLEM to a text if one of
# them is missing.

set(multiproc_DEPENDENCY_PROBLEM "")

# What the project has found itself is visible to it already, and CMake lets only the directory that found a target make
# it visible elsewhere.
set(_multiproc_found_threads FALSE)
if(NOT TARGET Threads::Threads)
    set(_multiproc_found_threads TRUE)
    find_package(Threads QUIET)
endif()
if(NOT TARGET Threads::Threads)
    string(APPEND multiproc_DEPENDENCY_PROBLEM "multiproc needs a thread library.\n")
endif()

# Targets found here must be visible where a parent project links multiproc::multiproc.
macro(_multiproc_make_global target)
    get_target_property(_multiproc_imported ${target} IMPORTED)
    get_target_property(_multiproc_global ${target} IMPORTED_GLOBAL)
    get_target_property(_multiproc_alias ${target} ALIASED_TARGET)
    if(_multiproc_imported AND NOT _multiproc_global AND NOT _multiproc_alias)
        set_target_properties(${target} PROPERTIES IMPORTED_GLOBAL TRUE)
    endif()
endmacro()

# _multiproc_find_headers(<target> <header> <package> [<version>])
macro(_multiproc_find_headers target header package)
    set(_multiproc_was_there FALSE)
    if(TARGET ${target})
        set(_multiproc_was_there TRUE)
    else()
        find_package(${package} ${ARGN} CONFIG QUIET)
    endif()
    if(NOT TARGET ${target})
        find_path(multiproc_${package}_INCLUDE_DIR NAMES "${header}")
        mark_as_advanced(multiproc_${package}_INCLUDE_DIR)
        if(multiproc_${package}_INCLUDE_DIR)
            add_library(${target} INTERFACE IMPORTED)
            set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                                                       "${multiproc_${package}_INCLUDE_DIR}")
        endif()
    endif()
    if(TARGET ${target} AND NOT _multiproc_was_there)
        _multiproc_make_global(${target})
    endif()
endmacro()

_multiproc_find_headers(cereal::cereal cereal/cereal.hpp cereal)
if(TARGET Threads::Threads AND _multiproc_found_threads)
    _multiproc_make_global(Threads::Threads)
endif()

if(NOT TARGET cereal::cereal)
    string(APPEND multiproc_DEPENDENCY_PROBLEM
        "multiproc needs the headers of cereal. Debian and Ubuntu: apt-get install libcereal-dev; "
        "Homebrew: brew install cereal; vcpkg: the manifest names them.\n")
endif()
if(multiproc_DEPENDENCY_PROBLEM AND NOT CMAKE_FIND_PACKAGE_NAME STREQUAL "multiproc")
    message(FATAL_ERROR "${multiproc_DEPENDENCY_PROBLEM}")
endif()
