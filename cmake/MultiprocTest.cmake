# How test programs are registered with CTest.
include_guard(GLOBAL)
include(GoogleTest)

set(MULTIPROC_TEST_TIMEOUT 120 CACHE STRING "Seconds after which a test has failed")

# multiproc_discover_tests(<target> PREFIX <text> [ENVIRONMENT <NAME=value>] [FILTER <as of --gtest_filter>])
#
# One CTest test for each of GoogleTest's, found when ctest starts. There are none where nothing can run them.
function(multiproc_discover_tests target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "PREFIX;ENVIRONMENT;FILTER" "")
    set(filter)
    if(arg_FILTER)
        set(filter TEST_FILTER "${arg_FILTER}")
    endif()
    set(properties TIMEOUT ${MULTIPROC_TEST_TIMEOUT})
    if(arg_ENVIRONMENT)
        list(APPEND properties ENVIRONMENT ${arg_ENVIRONMENT})
    endif()
    string(REGEX REPLACE "\\.$" "" label "${arg_PREFIX}")
    list(APPEND properties LABELS ${label})

    if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
        return()
    endif()
    if(NOT CMAKE_CROSSCOMPILING_EMULATOR)
        gtest_discover_tests(
            ${target}
            TEST_PREFIX ${arg_PREFIX}
            TEST_LIST ${target}_${label}
            ${filter}
            PROPERTIES ${properties}
            DISCOVERY_MODE PRE_TEST
            DISCOVERY_TIMEOUT 60)
        return()
    endif()

    set(file "${CMAKE_CURRENT_BINARY_DIR}/${target}-${label}")
    file(GENERATE OUTPUT "${file}.cmake" CONTENT "
set(name [==[${target}]==])
set(emulator [==[${CMAKE_CROSSCOMPILING_EMULATOR}]==])
set(program [==[$<TARGET_FILE:${target}>]==])
set(prefix [==[${arg_PREFIX}]==])
set(properties [==[${properties}]==])
set(cache [==[${file}-tests.cmake]==])
include([==[${PROJECT_SOURCE_DIR}/cmake/MultiprocAddTests.cmake]==])
")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${file}.cmake")
endfunction()
