// A family is known by parents: whoever has one of the family is of it, also when that one has ended.
#include <windows.h>

#include <tlhelp32.h>

#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "../port.hpp"

namespace chaos::port {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(static_cast<int>(GetLastError()), std::system_category(), what);
}

std::wstring executable() {
    std::wstring path(32'768, L'\0');
    const DWORD length = GetModuleFileNameW(nullptr, path.data(), static_cast<DWORD>(path.size()));
    if (length == 0) fail("cannot find this executable");
    path.resize(length);
    return path;
}

// Where a child finds the directory for temporary files, while one exists.
class TemporaryFiles {
public:
    explicit TemporaryFiles(const std::string& directory) {
        char before[MAX_PATH] = {};
        GetEnvironmentVariableA("TMP", before, sizeof before);
        before_ = before;
        SetEnvironmentVariableA("TMP", directory.c_str());
    }
    TemporaryFiles(const TemporaryFiles&) = delete;
    TemporaryFiles& operator=(const TemporaryFiles&) = delete;
    ~TemporaryFiles() { SetEnvironmentVariableA("TMP", before_.c_str()); }

private:
    std::string before_;
};

class TreeFamily final : public Family {
public:
    explicit TreeFamily(const StartOptions& options) {
        const std::wstring path = executable();
        std::wstring command = L"\"" + path + L"\"";
        for (const std::string& argument : options.arguments)
            command += L" \"" + std::wstring(argument.begin(), argument.end()) + L"\"";
        const TemporaryFiles there(options.directory);
        STARTUPINFOW startup{};
        startup.cb = sizeof startup;
        PROCESS_INFORMATION process{};
        if (CreateProcessW(path.c_str(), command.data(), nullptr, nullptr, FALSE, 0, nullptr, nullptr, &startup,
                           &process) == 0)
            fail("CreateProcess");
        CloseHandle(process.hThread);
        first_ = process.hProcess;
        pid_ = process.dwProcessId;
        known_.insert(pid_);
    }
    TreeFamily(const TreeFamily&) = delete;
    TreeFamily& operator=(const TreeFamily&) = delete;
    ~TreeFamily() override { CloseHandle(first_); }

    std::uint32_t pid() const noexcept override { return pid_; }

    bool has_ended(multiproc::ExitStatus& status) override {
        if (WaitForSingleObject(first_, 0) != WAIT_OBJECT_0) return false;
        DWORD code = 0;
        GetExitCodeProcess(first_, &code);
        status = multiproc::ExitStatus::exited(code);
        return true;
    }

    std::vector<Member> members() override {
        const std::lock_guard lock(mutex_);
        std::vector<Member> found;
        const HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        if (snapshot == INVALID_HANDLE_VALUE) return found;
        PROCESSENTRY32W entry{};
        entry.dwSize = sizeof entry;
        for (BOOL more = Process32FirstW(snapshot, &entry); more != 0; more = Process32NextW(snapshot, &entry)) {
            const bool is_first = entry.th32ProcessID == pid_;
            if (!is_first && !known_.contains(entry.th32ParentProcessID)) continue;
            // The console's own process is nobody's child in earnest.
            if (std::wstring_view(entry.szExeFile) == L"conhost.exe") continue;
            known_.insert(entry.th32ProcessID);
            if (!is_first || WaitForSingleObject(first_, 0) != WAIT_OBJECT_0)
                found.push_back({entry.th32ProcessID, entry.th32ParentProcessID, {}, false});
        }
        CloseHandle(snapshot);
        return found;
    }

    void strike(std::uint32_t pid, Strike strike) noexcept override {
        if (strike == Strike::stop || strike == Strike::go_on) return;
        const HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, pid);
        if (process == nullptr) return;
        TerminateProcess(process, strike == Strike::kill ? 137 : 143);
        CloseHandle(process);
    }

    void end() override {
        for (std::vector<Member> all = members(); !all.empty(); all = members()) {
            for (const Member& member : all) strike(member.pid, Strike::kill);
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }

    std::string dump() override {
        std::string text;
        for (const Member& member : members())
            text += "    process " + std::to_string(member.pid) + ", child of " + std::to_string(member.parent) + "\n";
        return text;
    }

private:
    HANDLE first_ = nullptr;
    DWORD pid_ = 0;
    std::mutex mutex_;
    std::set<DWORD> known_;
};

}  // namespace

std::unique_ptr<Family> Family::start(const StartOptions& options) { return std::make_unique<TreeFamily>(options); }

}  // namespace chaos::port
