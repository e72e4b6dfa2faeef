# cmake -D SOURCE=... -D FLAGS=... -D OBJECT=... -P MultiprocExpectCompileError.cmake
#
# Succeeds if the compiler refuses SOURCE with a message that matches the expression in its first line.
cmake_minimum_required(VERSION 3.20)
include("${FLAGS}")

file(STRINGS "${SOURCE}" lines LIMIT_COUNT 1)
if(NOT lines MATCHES "^// EXPECT: (.+)$")
    message(FATAL_ERROR "${SOURCE} must begin with \"// EXPECT: <regular expression>\"")
endif()
set(expected "${CMAKE_MATCH_1}")

list(REMOVE_ITEM compiler "")
set(command ${compiler} ${flags})
list(REMOVE_ITEM include_dirs "" ${implicit_dirs})
list(REMOVE_DUPLICATES include_dirs)
foreach(definition IN LISTS definitions)
    list(APPEND command "-D${definition}")
endforeach()
foreach(directory IN LISTS include_dirs)
    list(APPEND command "-I${directory}")
endforeach()
# The object file is not wanted, but a compiler that only looks at the syntax may skip templates.
if(compiler_id STREQUAL "MSVC")
    list(APPEND command /nologo /EHsc /permissive- /Zc:preprocessor /c "/Fo${OBJECT}" "${SOURCE}")
else()
    list(APPEND command -c -o "${OBJECT}" "${SOURCE}")
endif()

set(ENV{LC_ALL} C)
execute_process(COMMAND ${command} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
file(REMOVE "${OBJECT}")
if(result EQUAL 0)
    message(FATAL_ERROR "It compiles, but must be refused with a message that matches\n  ${expected}")
endif()
# The compiler may quote the source's own first line, which does not count.
string(REPLACE "// EXPECT: ${expected}" "" output "${output}")
if(NOT output MATCHES "${expected}")
    message(NOTICE "${output}")
    message(FATAL_ERROR "It is refused, but no message of the compiler's matches\n  ${expected}")
endif()
