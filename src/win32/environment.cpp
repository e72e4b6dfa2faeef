#include "win32/environment.hpp"

#include <memory>
#include <set>
#include <stdexcept>
#include <string_view>

#include "win32/bootstrap.hpp"

namespace multiproc::os {

namespace {

// Windows keeps the working directory of each drive in hidden variables like "=C:", so a name may begin with '='.
std::size_t name_length(std::wstring_view entry) noexcept { return entry.find(L'=', 1); }

int compare_names(std::wstring_view a, std::wstring_view b) noexcept {
    // The order of the system: by code unit, without regard to case, in no language.
    return CompareStringOrdinal(a.data(), static_cast<int>(name_length(a)), b.data(), static_cast<int>(name_length(b)),
                                TRUE) -
           CSTR_EQUAL;
}

struct ByName {
    bool operator()(const std::wstring& a, const std::wstring& b) const noexcept { return compare_names(a, b) < 0; }
};

using Entries = std::set<std::wstring, ByName>;

// The last one of a name counts.
void put(Entries& entries, std::wstring entry) {
    entries.erase(entry);
    entries.insert(std::move(entry));
}

Entries own_environment() {
    const std::unique_ptr<wchar_t, decltype(&FreeEnvironmentStringsW)> block(GetEnvironmentStringsW(),
                                                                             &FreeEnvironmentStringsW);
    if (!block) throw_last_error("cannot read the environment");
    Entries entries;
    for (const wchar_t* entry = block.get(); *entry != L'\0'; entry += std::wstring_view(entry).size() + 1) {
        // The system takes any text from a parent, so there may be entries that are no variables.
        if (name_length(entry) != std::wstring_view::npos) put(entries, entry);
    }
    return entries;
}

Entries environment_of(const std::vector<std::string>& variables) {
    Entries entries;
    for (const std::string& variable : variables) {
        if (variable.empty() || variable.find('=', 1) == std::string::npos ||
            variable.find('\0') != std::string::npos) {
            throw std::invalid_argument("an environment variable must be \"NAME=value\", not \"" + variable + "\"");
        }
        put(entries, widen(variable));
    }
    // Without it the loader cannot find side-by-side assemblies, and the system's own libraries fail in odd ways: a
    // program does not come up without it, whatever it was asked to see.
    std::wstring root = L"SystemRoot=";
    wchar_t directory[MAX_PATH];
    const UINT length = GetSystemWindowsDirectoryW(directory, MAX_PATH);
    if (length != 0 && length < MAX_PATH) entries.insert(root.append(directory, length));  // unless it is there
    return entries;
}

}  // namespace

std::wstring environment_block(const std::optional<std::vector<std::string>>& variables, const std::string& bootstrap) {
    Entries entries = variables ? environment_of(*variables) : own_environment();
    put(entries, std::wstring(wide_bootstrap_variable) + L"=" + widen(bootstrap));
    std::wstring block;
    for (const std::wstring& entry : entries) block.append(entry).push_back(L'\0');
    block.push_back(L'\0');
    return block;
}

}  // namespace multiproc::os
