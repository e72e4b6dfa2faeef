# Read by ctest: registers the tests of a GoogleTest program that runs in an emulator. CMake's own discovery does not
# understand the line ends of a Windows program.
#
# Takes name, emulator, program, prefix, properties and cache, a file for the list of tests.

if(NOT EXISTS "${program}")
    add_test(${prefix}${name}_NOT_BUILT ${name}_NOT_BUILT)
    return()
endif()

if(NOT EXISTS "${cache}" OR NOT "${cache}" IS_NEWER_THAN "${program}" OR NOT "${cache}" IS_NEWER_THAN
                                                                           "${CMAKE_CURRENT_LIST_FILE}")
    execute_process(
        COMMAND ${emulator} "${program}" --gtest_list_tests
        OUTPUT_VARIABLE listing
        RESULT_VARIABLE result
        TIMEOUT 120)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${program} does not list its tests (${result}):\n${listing}")
    endif()
    # The list has lines "Suite." or "Instance/Suite/0.  # TypeParam = int", each followed by indented lines with the
    # names of its tests, "  Name" or "  Name/0  # GetParam() = 1".
    string(REGEX MATCHALL "(^|\n) *[A-Za-z0-9_/]+\\.?" lines "${listing}")
    set(tests "")
    set(suite "")
    foreach(line IN LISTS lines)
        string(REGEX REPLACE "^\n" "" line "${line}")
        if(line MATCHES "^[^ ]+\\.$")
            set(suite "${line}")
        elseif(line MATCHES "^  ([^ ]+)$")
            string(APPEND tests " [==[${suite}${CMAKE_MATCH_1}]==]")
        endif()
    endforeach()
    file(WRITE "${cache}" "set(tests${tests})\n")
endif()
include("${cache}")

foreach(test IN LISTS tests)
    add_test("${prefix}${test}" ${emulator} "${program}" "--gtest_filter=${test}")
    set_tests_properties("${prefix}${test}" PROPERTIES ${properties})
endforeach()
