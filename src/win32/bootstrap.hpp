// What the parent writes into the environment variable of a child, and the child reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "win32/api.hpp"

namespace multiproc::os {

inline constexpr const char* bootstrap_variable = "MULTIPROC_BOOTSTRAP";
inline constexpr const wchar_t* wide_bootstrap_variable = L"MULTIPROC_BOOTSTRAP";

// The numbers of the variable. Inherited handles have the same values in the child.
struct BootstrapNumbers {
    std::uint32_t parent_pid = 0;
    RawHandle parent = no_handle;  // with PROCESS_DUP_HANDLE, SYNCHRONIZE and PROCESS_QUERY_LIMITED_INFORMATION
    RawHandle out = no_handle;
    RawHandle err = no_handle;
    RawHandle interrupt = no_handle;
    std::vector<RawHandle> handles;

    std::string text() const;
    static std::optional<BootstrapNumbers> parse(std::string_view text);
};

}  // namespace multiproc::os
