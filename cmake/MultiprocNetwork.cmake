# multiproc::network, connections between machines: a library of its own, so that the core needs neither Boost nor OpenSSL.
include_guard(GLOBAL)

set(MULTIPROC_NETWORK AUTO CACHE STRING "Build multiproc::network: ON, OFF, or AUTO, if what it needs is there")
set_property(CACHE MULTIPROC_NETWORK PROPERTY STRINGS AUTO ON OFF)
if(NOT MULTIPROC_NETWORK)
    return()
endif()

find_path(MULTIPROC_BOOST_INCLUDE_DIR boost/asio/ip/tcp.hpp)
mark_as_advanced(MULTIPROC_BOOST_INCLUDE_DIR)
set(missing)
if(NOT MULTIPROC_BOOST_INCLUDE_DIR)
    list(APPEND missing "the headers of Boost.Asio (Debian and Ubuntu: libboost-dev, Homebrew: boost)")
endif()
# Windows and macOS bring their own cryptography.
set(needs_openssl FALSE)
if(NOT WIN32 AND NOT APPLE)
    set(needs_openssl TRUE)
    find_package(OpenSSL 3.0 QUIET COMPONENTS Crypto)
    if(NOT OPENSSL_FOUND)
        list(APPEND missing "OpenSSL 3 (Debian and Ubuntu: libssl-dev)")
    endif()
endif()
if(missing)
    list(JOIN missing " and " missing)
    if(MULTIPROC_NETWORK STREQUAL "AUTO")
        message(STATUS "multiproc::network is left out: it needs ${missing}")
        return()
    endif()
    message(FATAL_ERROR "multiproc::network needs ${missing}; or switch it off by -D MULTIPROC_NETWORK=OFF")
endif()

file(GLOB network_sources CONFIGURE_DEPENDS src/network/*.cpp src/network/${port}/*.cpp)
# On POSIX random bytes and HMAC come from OpenSSL, or from macOS itself.
if(APPLE)
    list(FILTER network_sources EXCLUDE REGEX "/crypto\\.cpp$")
else()
    list(FILTER network_sources EXCLUDE REGEX "/crypto_macos\\.cpp$")
endif()
file(GLOB network_headers CONFIGURE_DEPENDS src/network/*.hpp)
add_library(multiproc_network ${network_sources} ${network_headers})
add_library(multiproc::network ALIAS multiproc_network)

target_link_libraries(multiproc_network PUBLIC multiproc)
target_include_directories(multiproc_network PRIVATE src)
target_include_directories(multiproc_network SYSTEM PRIVATE "${MULTIPROC_BOOST_INCLUDE_DIR}")
# Nothing but headers: without these Boost would have Visual Studio link its libraries.
target_compile_definitions(multiproc_network PRIVATE BOOST_ALL_NO_LIB BOOST_ERROR_CODE_HEADER_ONLY)
if(needs_openssl)
    target_link_libraries(multiproc_network PRIVATE OpenSSL::Crypto)
endif()
if(WIN32)
    target_link_libraries(multiproc_network PRIVATE ws2_32 mswsock bcrypt)
    target_compile_definitions(
        multiproc_network PRIVATE _WIN32_WINNT=0x0A00 WIN32_LEAN_AND_MEAN NOMINMAX UNICODE _UNICODE)
endif()
if(BUILD_SHARED_LIBS)
    target_compile_definitions(multiproc_network PRIVATE MULTIPROC_NETWORK_BUILDING)
endif()
set_target_properties(
    multiproc_network
    PROPERTIES EXPORT_NAME network
               CXX_EXTENSIONS OFF
               CXX_VISIBILITY_PRESET hidden
               VISIBILITY_INLINES_HIDDEN ON
               POSITION_INDEPENDENT_CODE ON
               VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
multiproc_developer_settings(multiproc_network)
