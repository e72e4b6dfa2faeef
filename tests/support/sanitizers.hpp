// Whether this is a build that pays more for each byte of memory, or runs in an emulator: for tests that choose sizes.
#pragma once

namespace multiproc::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool slow_memory = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool slow_memory = true;
#else
inline constexpr bool slow_memory = false;
#endif
#else
inline constexpr bool slow_memory = false;
#endif

}  // namespace multiproc::test
