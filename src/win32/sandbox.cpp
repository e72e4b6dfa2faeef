// On Windows a running process can give up much, though not all: with the privileges and the integrity level of its token
// goes the right to change what others own, files included; a job and the policies of the process keep it from starting
// processes and from making code. What stays is reading what the user can read, and the network: these can only be taken
// from a process before its first instruction, as an app container does, and that cannot be done for every program.
//
// The library's own way out, a handle by which a child pushes handles into its parent, is closed first.
#include <cstddef>
#include <memory>

#include "win32/api.hpp"
#include "win32/parent.hpp"

namespace multiproc::os {

namespace {

// For good: what is removed cannot be had again. That to walk through directories is everybody's and stays.
void remove_privileges(HANDLE token) {
    DWORD size = 0;
    GetTokenInformation(token, TokenPrivileges, nullptr, 0, &size);
    const auto memory = std::make_unique<std::byte[]>(size + sizeof(TOKEN_PRIVILEGES));
    auto* const all = reinterpret_cast<TOKEN_PRIVILEGES*>(memory.get());
    if (GetTokenInformation(token, TokenPrivileges, all, size, &size) == 0)
        throw_last_error("cannot look at the privileges of this process");
    LUID walking{};
    LookupPrivilegeValueW(nullptr, L"SeChangeNotifyPrivilege", &walking);
    for (DWORD i = 0; i < all->PrivilegeCount; ++i) {
        LUID_AND_ATTRIBUTES& one = all->Privileges[i];
        const bool stays = one.Luid.LowPart == walking.LowPart && one.Luid.HighPart == walking.HighPart;
        if (!stays) one.Attributes = SE_PRIVILEGE_REMOVED;
    }
    if (AdjustTokenPrivileges(token, FALSE, all, 0, nullptr, nullptr) == 0)
        throw_last_error("cannot remove the privileges of this process");
}

// "Low": nothing that has no label to the contrary can be written to, opened for writing, or sent window messages.
void lower_integrity(HANDLE token) {
    SID level{};
    level.Revision = SID_REVISION;
    level.SubAuthorityCount = 1;
    level.IdentifierAuthority = SECURITY_MANDATORY_LABEL_AUTHORITY;
    level.SubAuthority[0] = SECURITY_MANDATORY_LOW_RID;
    TOKEN_MANDATORY_LABEL label{};
    label.Label.Sid = &level;
    label.Label.Attributes = SE_GROUP_INTEGRITY;
    if (SetTokenInformation(token, TokenIntegrityLevel, &label, sizeof label + sizeof level) == 0)
        throw_last_error("cannot lower the integrity level of this process");
}

// In a job of its own, inside the parent's. Nobody can loosen its limits: its only handle is closed here.
bool enter_job(bool limits_windows) {
    const Handle job = own_or_throw(CreateJobObjectW(nullptr, nullptr), "cannot create a job");
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
    limits.BasicLimitInformation.ActiveProcessLimit = 1;
    if (SetInformationJobObject(native(job.raw()), JobObjectExtendedLimitInformation, &limits, sizeof limits) == 0)
        return false;
    if (limits_windows) {
        JOBOBJECT_BASIC_UI_RESTRICTIONS windows{};
        windows.UIRestrictionsClass = JOB_OBJECT_UILIMIT_DESKTOP | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS |
                                      JOB_OBJECT_UILIMIT_EXITWINDOWS | JOB_OBJECT_UILIMIT_GLOBALATOMS |
                                      JOB_OBJECT_UILIMIT_HANDLES | JOB_OBJECT_UILIMIT_READCLIPBOARD |
                                      JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS | JOB_OBJECT_UILIMIT_WRITECLIPBOARD;
        if (SetInformationJobObject(native(job.raw()), JobObjectBasicUIRestrictions, &windows, sizeof windows) == 0)
            return false;
    }
    return AssignProcessToJobObject(native(job.raw()), GetCurrentProcess()) != 0;
}

// The numbers and bits of winnt.h, which not every compiler's headers have. Each policy is one word.
enum class Policy { dynamic_code = 2, extension_points = 6, image_load = 10, child_process = 13 };

bool set_policy(Policy policy, DWORD bits) noexcept {
    using SetPolicy = BOOL(WINAPI*)(int, void*, SIZE_T);
    const auto set = system_function<SetPolicy>(L"kernel32.dll", "SetProcessMitigationPolicy");
    return set != nullptr && set(static_cast<int>(policy), &bits, sizeof bits) != 0;
}

}  // namespace

std::string sandbox_problem() { return {}; }

void enter_sandbox() {
    forget_parent();
    const Handle token = [] {
        HANDLE opened = nullptr;
        OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES | TOKEN_ADJUST_DEFAULT, &opened);
        return own_or_throw(opened, "cannot open the token of this process");
    }();
    // Systems differ in whether a job inside another may limit windows.
    const bool is_in_job = enter_job(true) || enter_job(false);
    const bool is_childless = set_policy(Policy::child_process, 1);
    if (!is_in_job && !is_childless) throw_last_error("cannot keep this process from starting others");
    // Older systems know some of these only.
    set_policy(Policy::extension_points, 1);
    set_policy(Policy::image_load, 1 | 2);  // neither from the network nor from where a process like this can write
    set_policy(Policy::dynamic_code, 1);
    remove_privileges(native(token.raw()));
    lower_integrity(native(token.raw()));
}

}  // namespace multiproc::os
