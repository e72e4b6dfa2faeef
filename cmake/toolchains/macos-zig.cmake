# macOS programs from Linux, with the clang and the macOS libraries that zig brings. They compile and link here; only a
# Mac can run them. Set MULTIPROC_MACOS_ARCH to aarch64 or x86_64, and the environment variable MULTIPROC_ZIG to the zig
# program unless it is on the PATH; scripts/test --macos does both.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_VERSION 20)
if(NOT MULTIPROC_MACOS_ARCH)
    set(MULTIPROC_MACOS_ARCH aarch64)
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MULTIPROC_MACOS_ARCH)
set(CMAKE_SYSTEM_PROCESSOR ${MULTIPROC_MACOS_ARCH})
set(MULTIPROC_USES_ZIG ON)

# CMake wants one program per tool; each of these is a link to a script that tells by its own name what zig shall be.
set(tools "${CMAKE_CURRENT_LIST_DIR}/../../scripts/lib/zig")
set(CMAKE_C_COMPILER "${tools}/${MULTIPROC_MACOS_ARCH}-macos-cc")
set(CMAKE_CXX_COMPILER "${tools}/${MULTIPROC_MACOS_ARCH}-macos-c++")
set(CMAKE_AR "${tools}/zig-ar" CACHE FILEPATH "")
set(CMAKE_RANLIB "${tools}/zig-ranlib" CACHE FILEPATH "")
set(CMAKE_INSTALL_NAME_TOOL "/bin/true" CACHE FILEPATH "")
set(CMAKE_OSX_SYSROOT "" CACHE STRING "")
set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "")

include("${CMAKE_CURRENT_LIST_DIR}/../HostHeaders.cmake")
set(CMAKE_FIND_ROOT_PATH "")
multiproc_host_headers("${CMAKE_BINARY_DIR}/host-headers")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
