# Provides GTest::gtest and GTest::gtest_main. Nothing is downloaded: a parent project's or an installed GoogleTest
# where it fits, else its source, which Debian and Ubuntu put into /usr/src/googletest.
include_guard(GLOBAL)

set(GOOGLETEST_SOURCE_DIR "/usr/src/googletest" CACHE PATH "Source of GoogleTest, used where no binary of it fits")

if(TARGET GTest::gtest AND TARGET GTest::gtest_main)
    return()
endif()
# A sanitizer must see all code that shares containers with ours, and a cross compiler cannot link the host's.
if(NOT MULTIPROC_SANITIZE AND (NOT CMAKE_CROSSCOMPILING OR VCPKG_TOOLCHAIN))
    find_package(GTest QUIET)
    if(TARGET GTest::gtest AND TARGET GTest::gtest_main)
        # multiproc::gtest_main, of the directory above, names them.
        set_target_properties(GTest::gtest GTest::gtest_main PROPERTIES IMPORTED_GLOBAL TRUE)
        return()
    endif()
endif()
if(NOT EXISTS "${GOOGLETEST_SOURCE_DIR}/CMakeLists.txt")
    message(
        FATAL_ERROR
            "The tests need GoogleTest. Debian and Ubuntu: apt-get install libgtest-dev; "
            "Homebrew: brew install googletest; vcpkg: the manifest's feature \"tests\"; elsewhere set "
            "GOOGLETEST_SOURCE_DIR to its source. Or configure with -D MULTIPROC_BUILD_TESTS=OFF.")
endif()

set(BUILD_GMOCK OFF)
set(INSTALL_GTEST OFF)
set(gtest_force_shared_crt ON)  # MSVC: the same runtime as ours
set(gtest_disable_pthreads OFF)
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)  # its options take the values above
set(CMAKE_POLICY_DEFAULT_CMP0048 NEW)
set(multiproc_shared_libs ${BUILD_SHARED_LIBS})
set(BUILD_SHARED_LIBS OFF)
set(CMAKE_WARN_DEPRECATED OFF)
add_subdirectory("${GOOGLETEST_SOURCE_DIR}" "${PROJECT_BINARY_DIR}/googletest" EXCLUDE_FROM_ALL)
unset(CMAKE_WARN_DEPRECATED)
set(BUILD_SHARED_LIBS ${multiproc_shared_libs})
foreach(library gtest gtest_main)
    if(NOT TARGET GTest::${library})
        add_library(GTest::${library} ALIAS ${library})
    endif()
endforeach()
