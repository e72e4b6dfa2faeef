// The Windows API, included in one way everywhere, and the few conversions that every file of this back end needs.
#pragma once

#if !defined(WIN32_LEAN_AND_MEAN)
#define WIN32_LEAN_AND_MEAN
#endif
#if !defined(NOMINMAX)
#define NOMINMAX
#endif
#if !defined(UNICODE)
#define UNICODE
#endif
#if !defined(_WIN32_WINNT)
#define _WIN32_WINNT 0x0A00  // Windows 10
#endif
#include <windows.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "os.hpp"

namespace multiproc::os {

// Throws std::system_error with `code`, or with the code of the last failed call; `what` says what could not be done.
// The second takes no std::string, because making one may call the system and change that code.
[[noreturn]] void throw_system_error(const std::string& what, DWORD code);
[[noreturn]] void throw_last_error(const char* what);

inline HANDLE native(RawHandle raw) noexcept { return reinterpret_cast<HANDLE>(raw); }
inline RawHandle raw(HANDLE handle) noexcept { return reinterpret_cast<RawHandle>(handle); }

// Owns what a call returned. The system's functions disagree on whether NULL or INVALID_HANDLE_VALUE means "none"; both
// become an empty Handle.
inline Handle own(HANDLE handle) noexcept { return Handle(handle == nullptr ? no_handle : raw(handle)); }
// As above, but "none" is the failure of the call `what` names.
Handle own_or_throw(HANDLE handle, const char* what);

// Whether `raw` can be a handle to an object. The negative numbers are pseudo handles, which mean "this process", "this
// thread" or a token in every call that takes a handle: -1, our `no_handle`, would be duplicated as this process
// itself.
inline bool is_object(RawHandle raw) noexcept { return raw > 0; }

// A copy of `handle` in this process with `access` only (0: the same access). Empty on failure.
Handle try_duplicate(HANDLE handle, DWORD access, bool inheritable) noexcept;
Handle duplicate_with(HANDLE handle, DWORD access, bool inheritable);

// UTF-8 and UTF-16. Throw std::system_error with std::errc::illegal_byte_sequence for text that is neither.
std::wstring widen(std::string_view text);
std::string narrow(std::wstring_view text);

// A function that only newer systems have, or that no import library exports. Null if there is none.
template <class Function>
Function system_function(const wchar_t* module, const char* name) noexcept {
    const HMODULE loaded = GetModuleHandleW(module);
    if (loaded == nullptr) return nullptr;
    return reinterpret_cast<Function>(reinterpret_cast<void (*)()>(GetProcAddress(loaded, name)));
}

// Mixes `value` into `state`; every bit of the result depends on every bit of both. Against accidents, not attackers.
constexpr std::uint64_t mix(std::uint64_t state, std::uint64_t value) noexcept {
    std::uint64_t x = (state ^ value) * 0x9E3779B97F4A7C15U;  // the finaliser of splitmix64, an invertible mixer
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

// A number that no other process has.
std::uint64_t random_number();

}  // namespace multiproc::os
