/// @file
/// The one configuration header: how the library's symbols are exported, and which platform this is.
/// No other public header asks which platform it is compiled for.
#pragma once

// MULTIPROC_SHARED is defined by the CMake target for the library's users and for the library itself when it is built
// as a shared library; MULTIPROC_BUILDING only while the library itself is compiled.
#if !defined(MULTIPROC_SHARED)
#define MULTIPROC_API
#elif defined(_WIN32)
#if defined(MULTIPROC_BUILDING)
#define MULTIPROC_API __declspec(dllexport)
#else
#define MULTIPROC_API __declspec(dllimport)
#endif
#else
#define MULTIPROC_API __attribute__((visibility("default")))
#endif

// The same for multiproc::network, which is a library of its own.
#if !defined(MULTIPROC_SHARED)
#define MULTIPROC_NETWORK_API
#elif defined(_WIN32)
#if defined(MULTIPROC_NETWORK_BUILDING)
#define MULTIPROC_NETWORK_API __declspec(dllexport)
#else
#define MULTIPROC_NETWORK_API __declspec(dllimport)
#endif
#else
#define MULTIPROC_NETWORK_API __attribute__((visibility("default")))
#endif

#define MULTIPROC_VERSION_MAJOR 0
#define MULTIPROC_VERSION_MINOR 1
#define MULTIPROC_VERSION_PATCH 0
