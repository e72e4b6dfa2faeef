// The child's side of the environment variable.
//
// A variable that does not begin as ours is not ours: somebody uses the name for something else, and this process is a
// program like any other. So it is when a child started it before that child had taken the variable out of its
// environment: then another process than the named one is its creator. What is meant and cannot be used is never treated
// as absent, since the process would then run as if it were the program, and start children of its own:
// `take_bootstrap` throws instead.
#include "win32/bootstrap.hpp"

#include <charconv>
#include <cstdlib>
#include <new>
#include <system_error>

#include <winternl.h>

#include "win32/parent.hpp"

namespace multiproc::os {

namespace {

constexpr std::string_view prefix = "multiproc-1:";

[[noreturn]] void refuse(const std::string& why) {
    throw std::system_error(std::make_error_code(std::errc::bad_message),
                            std::string(bootstrap_variable) + " in the environment " + why);
}

std::string variable() {
    std::wstring text;
    for (DWORD needed = GetEnvironmentVariableW(wide_bootstrap_variable, nullptr, 0); needed > text.size();) {
        text.resize(needed);
        needed = GetEnvironmentVariableW(wide_bootstrap_variable, text.data(), needed);
        if (needed < text.size()) {  // on success without the final null character, else with it
            text.resize(needed);
            break;
        }
    }
    std::string narrowed;
    for (const wchar_t c : text) narrowed += c > 0 && c < 0x80 ? static_cast<char>(c) : '?';  // ours is plain ASCII
    return narrowed;
}

// The process that called CreateProcess for this one, by the pid it had then; 0 if the system does not tell.
std::uint32_t creator_pid() noexcept {
    // ProcessBasicInformation as it is documented; some headers call its last member Reserved3.
    struct BasicInformation {
        NTSTATUS exit_status;
        void* peb;
        ULONG_PTR affinity;
        LONG priority;
        ULONG_PTR pid;
        ULONG_PTR creator_pid;
    } information{};
    using Query = NTSTATUS(NTAPI*)(HANDLE, PROCESSINFOCLASS, void*, ULONG, ULONG*);
    const auto query = system_function<Query>(L"ntdll.dll", "NtQueryInformationProcess");
    if (query == nullptr ||
        query(GetCurrentProcess(), ProcessBasicInformation, &information, sizeof information, nullptr) < 0) {
        return 0;
    }
    return static_cast<std::uint32_t>(information.creator_pid);
}

// Inherited handles can be inherited again; the child's children are to get none of them unasked.
Handle take_inherited(RawHandle handle) {
    if (SetHandleInformation(native(handle), HANDLE_FLAG_INHERIT, 0) == 0)
        refuse("names a handle that is not open here");
    return Handle(handle);
}

class Reader {
public:
    explicit Reader(std::string_view text) noexcept : rest_(text) {}

    template <class Number>
    bool read(Number& number, char separator) noexcept {
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number, 16);
        if (error != std::errc()) return false;
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        if (separator == '\0') return rest_.empty();
        if (rest_.empty() || rest_.front() != separator) return false;
        rest_.remove_prefix(1);
        return true;
    }
    bool read_handle(RawHandle& handle) noexcept { return read(handle, ',') && is_object(handle); }
    bool is_at_end() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
};

void append(std::string& text, std::uint64_t number) {
    char digits[16];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, number, 16).ptr);
    text += ',';
}

// A process keeps the creator that it was born with, also when that has ended and its pid has become another's. So this
// is conclusive, and the answer stays the same.
bool is_for_another(const BootstrapNumbers& numbers) noexcept {
    const std::uint32_t creator = creator_pid();
    return creator != 0 && creator != numbers.parent_pid;
}

}  // namespace

std::string BootstrapNumbers::text() const {
    std::string result(prefix);
    append(result, parent_pid);
    for (const RawHandle handle : {parent, out, err, interrupt}) append(result, static_cast<std::uint64_t>(handle));
    for (const RawHandle handle : handles) append(result, static_cast<std::uint64_t>(handle));
    return result;
}

std::optional<BootstrapNumbers> BootstrapNumbers::parse(std::string_view text) {
    if (!text.starts_with(prefix)) return std::nullopt;
    BootstrapNumbers numbers;
    Reader reader(text.substr(prefix.size()));
    if (!reader.read(numbers.parent_pid, ',')) return std::nullopt;
    for (RawHandle* handle : {&numbers.parent, &numbers.out, &numbers.err, &numbers.interrupt}) {
        if (!reader.read_handle(*handle)) return std::nullopt;
    }
    while (!reader.is_at_end()) {
        if (!reader.read_handle(numbers.handles.emplace_back(no_handle))) return std::nullopt;
    }
    return numbers;
}

bool is_bootstrap_pending() noexcept {
    try {
        const std::string text = variable();
        if (!text.starts_with(prefix)) return false;
        const auto numbers = BootstrapNumbers::parse(text);
        return !numbers || !is_for_another(*numbers);
    } catch (const std::bad_alloc&) {
        return true;  // there is a long one; `take_bootstrap` says what is wrong with it
    }
}

std::optional<Bootstrap> take_bootstrap(PreloadFunction) {
    const std::string text = variable();
    if (!text.starts_with(prefix)) return std::nullopt;
    // The C runtime has a copy of the environment, which it hands to what _spawn and system start.
    _putenv((std::string(bootstrap_variable) + "=").c_str());
    SetEnvironmentVariableW(wide_bootstrap_variable, nullptr);

    const auto numbers = BootstrapNumbers::parse(text);
    if (!numbers) refuse("is damaged");
    if (is_for_another(*numbers)) return std::nullopt;
    // As long as that handle is open nobody else gets the parent's pid, so the two checks together are conclusive. Before
    // them no number is taken for a handle of ours.
    const DWORD parent_pid = GetProcessId(native(numbers->parent));
    if (parent_pid == 0 || parent_pid != numbers->parent_pid) refuse("does not fit the process that started this one");
    Bootstrap bootstrap;
    Handle parent = take_inherited(numbers->parent);
    bootstrap.parent_pid = numbers->parent_pid;
    bootstrap.parent = duplicate_with(native(parent.raw()), SYNCHRONIZE, false);
    bootstrap.out = take_inherited(numbers->out);
    bootstrap.err = take_inherited(numbers->err);
    bootstrap.control = take_inherited(numbers->interrupt);
    bootstrap.handles.reserve(numbers->handles.size());
    for (const RawHandle handle : numbers->handles) bootstrap.handles.push_back(take_inherited(handle));
    remember_parent(std::move(parent), numbers->parent_pid);
    return bootstrap;
}

}  // namespace multiproc::os
