# For cross compilers: the header-only libraries of the host, through a directory of links. The host's whole include
# directory on a cross compiler's path would hide the target's own C library.
#
# multiproc_host_headers(<directory>) links them below <directory>/include and lets find_path look there.
include_guard()

function(multiproc_host_headers directory)
    get_property(trying GLOBAL PROPERTY IN_TRY_COMPILE)
    if(NOT trying)
        file(MAKE_DIRECTORY "${directory}/include")
        foreach(library boost cereal stb)
            if(EXISTS "/usr/include/${library}" AND NOT EXISTS "${directory}/include/${library}")
                file(CREATE_LINK "/usr/include/${library}" "${directory}/include/${library}" SYMBOLIC)
            endif()
        endforeach()
    endif()
    list(APPEND CMAKE_FIND_ROOT_PATH "${directory}")
    set(CMAKE_FIND_ROOT_PATH "${CMAKE_FIND_ROOT_PATH}" PARENT_SCOPE)
endfunction()
