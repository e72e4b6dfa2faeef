# What developers of multiproc build with: warnings, sanitizers, ccache. Users who add multiproc to their own project
# get none of it unless they ask.
include_guard(GLOBAL)

if(PROJECT_IS_TOP_LEVEL)
    # Zig caches its objects itself.
    if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER AND NOT MULTIPROC_USES_ZIG)
        find_program(CCACHE_PROGRAM ccache)
        mark_as_advanced(CCACHE_PROGRAM)
        if(CCACHE_PROGRAM)
            set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
        endif()
    endif()
    if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
        set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
    endif()
endif()

# Sanitizers watch everything that is linked together, GoogleTest included, so they are set for the whole directory.
if(MULTIPROC_SANITIZE)
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
        message(FATAL_ERROR "MULTIPROC_SANITIZE needs GCC or Clang")
    endif()
    add_compile_options(-fsanitize=${MULTIPROC_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${MULTIPROC_SANITIZE})
    if(MULTIPROC_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
        # GCC's check of vptrs reads std::system_error's type name through the system, which fails where a test has used
        # up all descriptors, and then reports nonsense.
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            add_compile_options(-fno-sanitize=vptr)
        endif()
    endif()
endif()

# Warnings (and, with MULTIPROC_WERROR, no mercy) for a target of this project.
function(multiproc_developer_settings target)
    if(MSVC)
        target_compile_options(${target} PRIVATE /W4 /permissive- /utf-8 /bigobj /Zc:__cplusplus /Zc:preprocessor)
        # C4251: members of standard types in exported classes; one runtime for all modules is a rule of shared builds.
        target_compile_options(${target} PRIVATE /wd4251 /wd4275 /external:W0)
        if(MULTIPROC_WERROR)
            target_compile_options(${target} PRIVATE /WX)
        endif()
    else()
        target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
        if(WIN32)
            target_compile_options(${target} PRIVATE -Wa,-mbig-obj)
        endif()
        if(MULTIPROC_WERROR)
            target_compile_options(${target} PRIVATE -Werror)
        endif()
        # GCC warns that its thread sanitizer does not understand fences; the code must be right without that help.
        if(MULTIPROC_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            target_compile_options(${target} PRIVATE -Wno-tsan)
        endif()
    endif()
endfunction()
