#include "win32/api.hpp"

#include <climits>
#include <random>
#include <system_error>

namespace multiproc::os {

void throw_system_error(const std::string& what, DWORD code) {
    throw std::system_error(static_cast<int>(code), std::system_category(), what);
}

void throw_last_error(const char* what) {
    const DWORD code = GetLastError();
    throw_system_error(what, code);
}

Handle own_or_throw(HANDLE handle, const char* what) {
    if (handle == nullptr || handle == INVALID_HANDLE_VALUE) throw_last_error(what);
    return own(handle);
}

Handle try_duplicate(HANDLE handle, DWORD access, bool inheritable) noexcept {
    HANDLE copy = nullptr;
    const DWORD options = access == 0 ? DUPLICATE_SAME_ACCESS : 0;
    if (DuplicateHandle(GetCurrentProcess(), handle, GetCurrentProcess(), &copy, access, inheritable, options) == 0) {
        return {};
    }
    return own(copy);
}

Handle duplicate_with(HANDLE handle, DWORD access, bool inheritable) {
    Handle copy = try_duplicate(handle, access, inheritable);
    if (!copy) throw_last_error("cannot duplicate a handle");
    return copy;
}

std::wstring widen(std::string_view text) {
    if (text.empty()) return {};
    if (text.size() > INT_MAX) throw std::system_error(std::make_error_code(std::errc::value_too_large));
    const int length = static_cast<int>(text.size());
    const int wide = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), length, nullptr, 0);
    if (wide == 0) throw std::system_error(std::make_error_code(std::errc::illegal_byte_sequence), "not UTF-8");
    std::wstring result(static_cast<std::size_t>(wide), L'\0');
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), length, result.data(), wide);
    return result;
}

std::string narrow(std::wstring_view text) {
    if (text.empty()) return {};
    if (text.size() > INT_MAX) throw std::system_error(std::make_error_code(std::errc::value_too_large));
    const int length = static_cast<int>(text.size());
    const int bytes =
        WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text.data(), length, nullptr, 0, nullptr, nullptr);
    if (bytes == 0) throw std::system_error(std::make_error_code(std::errc::illegal_byte_sequence), "not UTF-16");
    std::string result(static_cast<std::size_t>(bytes), '\0');
    WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, text.data(), length, result.data(), bytes, nullptr, nullptr);
    return result;
}

std::uint64_t random_number() {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32 | device();
}

}  // namespace multiproc::os
