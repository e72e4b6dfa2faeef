// Which calls this back end uses. MULTIPROC_PORTABLE_POSIX leaves out what only Linux has, so that the code that macOS
// runs is tested on Linux too.
#pragma once

#if defined(__linux__) && !defined(MULTIPROC_PORTABLE_POSIX)
#define MULTIPROC_LINUX_CALLS 1
#else
#define MULTIPROC_LINUX_CALLS 0
#endif

// Which sanitizer this is compiled for (clang tells by a feature, GCC by a macro).
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MULTIPROC_THREAD_SANITIZER 1
#endif
#if __has_feature(address_sanitizer)
#define MULTIPROC_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define MULTIPROC_THREAD_SANITIZER 1
#elif !defined(MULTIPROC_THREAD_SANITIZER)
#define MULTIPROC_THREAD_SANITIZER 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define MULTIPROC_ADDRESS_SANITIZER 1
#elif !defined(MULTIPROC_ADDRESS_SANITIZER)
#define MULTIPROC_ADDRESS_SANITIZER 0
#endif
