// The numbers are spelled out, because not every compiler's headers have all the names, and some have other values for
// them under the same name. They are those of [MS-ERREF] 2.3.1.
#include <multiproc/exit_status.hpp>

#include <algorithm>
#include <array>
#include <string>

#include "win32/exit_codes.hpp"

namespace multiproc {

namespace {

struct Name {
    std::uint32_t number;
    const char* name;
};

// The signals of the C standard and of the C runtime's signal.h, and SIGKILL, which `kill` reports.
constexpr std::array<Name, 8> signals{{
    {2, "SIGINT"},
    {4, "SIGILL"},
    {8, "SIGFPE"},
    {9, "SIGKILL"},
    {11, "SIGSEGV"},
    {15, "SIGTERM"},
    {21, "SIGBREAK"},
    {22, "SIGABRT"},
}};

// With what an unhandled exception, the loader, the console or the debugger ends a process.
constexpr std::array<Name, 46> statuses{{
    {0x40000015, "FATAL_APP_EXIT"},
    {0x40010004, "DEBUGGER_TERMINATED_PROCESS"},
    {0x40010005, "CONTROL_C"},
    {0x40010008, "CONTROL_BREAK"},
    {0x80000001, "GUARD_PAGE_VIOLATION"},
    {0x80000002, "DATATYPE_MISALIGNMENT"},
    {0x80000003, "BREAKPOINT"},
    {0x80000004, "SINGLE_STEP"},
    {0xC0000005, "ACCESS_VIOLATION"},
    {0xC0000006, "IN_PAGE_ERROR"},
    {0xC0000008, "INVALID_HANDLE"},
    {0xC000000D, "INVALID_PARAMETER"},
    {0xC0000017, "NO_MEMORY"},
    {0xC000001D, "ILLEGAL_INSTRUCTION"},
    {0xC0000025, "NONCONTINUABLE_EXCEPTION"},
    {0xC0000026, "INVALID_DISPOSITION"},
    {0xC0000044, "QUOTA_EXCEEDED"},
    {0xC000007B, "INVALID_IMAGE_FORMAT"},
    {0xC000008C, "ARRAY_BOUNDS_EXCEEDED"},
    {0xC000008D, "FLOAT_DENORMAL_OPERAND"},
    {0xC000008E, "FLOAT_DIVIDE_BY_ZERO"},
    {0xC000008F, "FLOAT_INEXACT_RESULT"},
    {0xC0000090, "FLOAT_INVALID_OPERATION"},
    {0xC0000091, "FLOAT_OVERFLOW"},
    {0xC0000092, "FLOAT_STACK_CHECK"},
    {0xC0000093, "FLOAT_UNDERFLOW"},
    {0xC0000094, "INTEGER_DIVIDE_BY_ZERO"},
    {0xC0000095, "INTEGER_OVERFLOW"},
    {0xC0000096, "PRIVILEGED_INSTRUCTION"},
    {0xC00000FD, "STACK_OVERFLOW"},
    {0xC000012D, "COMMITMENT_LIMIT"},
    {0xC0000135, "DLL_NOT_FOUND"},
    {0xC0000138, "ORDINAL_NOT_FOUND"},
    {0xC0000139, "ENTRYPOINT_NOT_FOUND"},
    {0xC000013A, "CONTROL_C_EXIT"},
    {0xC0000142, "DLL_INIT_FAILED"},
    {0xC0000194, "POSSIBLE_DEADLOCK"},
    {0xC0000374, "HEAP_CORRUPTION"},
    {0xC0000409, "STACK_BUFFER_OVERRUN"},
    {0xC0000417, "INVALID_CRUNTIME_PARAMETER"},
    {0xC0000420, "ASSERTION_FAILURE"},
    {0xC0000428, "INVALID_IMAGE_HASH"},
    {0xC0000602, "FAIL_FAST_EXCEPTION"},
    {0xC06D007E, "DELAY_LOAD_MODULE_NOT_FOUND"},
    {0xC06D007F, "DELAY_LOAD_PROCEDURE_NOT_FOUND"},
    {0xE06D7363, "UNHANDLED_CPP_EXCEPTION"},
}};

constexpr bool by_number(const Name& a, const Name& b) { return a.number < b.number; }
static_assert(std::is_sorted(statuses.begin(), statuses.end(), by_number));
static_assert(std::is_sorted(signals.begin(), signals.end(), by_number));

template <std::size_t Size>
const char* name_in(const std::array<Name, Size>& names, std::uint32_t number) noexcept {
    const auto found = std::lower_bound(names.begin(), names.end(), Name{number, nullptr}, by_number);
    return found != names.end() && found->number == number ? found->name : nullptr;
}

std::string hexadecimal(std::uint32_t number) {
    std::string text = "0x";
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789ABCDEF"[number >> shift & 0xF];
    return text;
}

}  // namespace

std::string signal_name(std::uint32_t number) {
    if (const char* name = name_in(signals, number)) return name;
    if (const char* name = name_in(statuses, number)) return name;
    return number < 256 ? "signal " + std::to_string(number) : hexadecimal(number);
}

std::string to_string(const ExitStatus& status) {
    switch (status.kind()) {
        case ExitStatus::Kind::exited: return "exited with code " + std::to_string(status.number());
        case ExitStatus::Kind::signalled: return "killed by " + signal_name(status.number());
        case ExitStatus::Kind::unknown: break;
    }
    return "ended in a way that nobody saw";
}

ExitStatus os::exit_status_of(std::uint32_t code) noexcept {
    if (code == terminated_code) return ExitStatus::signalled(15);
    if (code == killed_code) return ExitStatus::signalled(9);
    // An NTSTATUS of severity "error" that is the system's own. `exit(-1)` is 0xFFFFFFFF and none: it has the
    // customers' and the reserved bit.
    const bool is_system_error = code >> 28 == 0xC;
    if (is_system_error || name_in(statuses, code) != nullptr) return ExitStatus::signalled(code);
    return ExitStatus::exited(code);
}

}  // namespace multiproc
