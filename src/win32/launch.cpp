// A child is started with exactly the handles that it is to have (PROC_THREAD_ATTRIBUTE_HANDLE_LIST), whatever else is
// inheritable in this process at that moment, and as a member of a job that dies with this process.
//
// The copies that a child inherits have to be inheritable here while CreateProcess runs. Launches on several threads do
// not disturb each other, because each has its own list; but a CreateProcess of the host that inherits everything and
// runs at the same moment gets them too.
#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <system_error>

#include <io.h>

#include "win32/bootstrap.hpp"
#include "win32/crt.hpp"
#include "win32/environment.hpp"
#include "win32/exit_codes.hpp"
#include "win32/exit_watch.hpp"

namespace multiproc::os {

namespace {

constexpr int most_broken_starts = 3;

// Closing the last handle of this job ends what is in it, so no child survives this process, however that ended. What a
// child starts is in it as well, unless it asks for CREATE_BREAKAWAY_FROM_JOB. Never closed by us: a program that ends
// leaves no children behind that it did not wait for.
HANDLE family_job() {
    static const HANDLE job = [] {
        Handle made = own_or_throw(CreateJobObjectW(nullptr, nullptr), "cannot create a job");
        JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_BREAKAWAY_OK;
        if (SetInformationJobObject(native(made.raw()), JobObjectExtendedLimitInformation, &limits, sizeof limits) ==
            0) {
            throw_last_error("cannot set up a job");
        }
        return native(made.release());
    }();
    return job;
}

// The copies of handles that a child inherits; gone from this process when the child is started.
class Inheritance {
public:
    RawHandle add(HANDLE handle, DWORD access = 0) { return keep(duplicate_with(handle, access, true)); }
    RawHandle add(RawHandle handle) {
        if (!is_object(handle)) throw_system_error("cannot hand down a handle that is none", ERROR_INVALID_HANDLE);
        return add(native(handle));
    }
    RawHandle add_null_device(DWORD access) {
        SECURITY_ATTRIBUTES inheritable{sizeof(SECURITY_ATTRIBUTES), nullptr, TRUE};
        return keep(own_or_throw(
            CreateFileW(L"NUL", access, FILE_SHARE_READ | FILE_SHARE_WRITE, &inheritable, OPEN_EXISTING, 0, nullptr),
            "cannot open the null device"));
    }
    // A standard stream of the child: `chosen`, else this process's own as it is now, else the null device. A program
    // without a console may have none, or what it had may have been closed since.
    RawHandle add_stream(RawHandle chosen, DWORD id, std::FILE* file) {
        if (chosen != no_handle) return add(chosen);
        Handle copy;
        if (const HANDLE own = GetStdHandle(id); is_object(raw(own))) copy = try_duplicate(own, 0, true);
        const BadDescriptorsAreErrors guard;
        // A program with windows only may have opened the C stream alone. (-2: the stream has no file.)
        if (const int descriptor = _fileno(file); !copy && descriptor >= 0) {
            if (const RawHandle own = _get_osfhandle(descriptor); is_object(own)) {
                copy = try_duplicate(native(own), 0, true);
            }
        }
        return copy ? keep(std::move(copy)) : add_null_device(GENERIC_WRITE);
    }

    std::vector<HANDLE>& values() noexcept { return values_; }

private:
    RawHandle keep(Handle handle) {
        values_.reserve(values_.size() + 1);
        owned_.push_back(std::move(handle));
        values_.push_back(native(owned_.back().raw()));
        return owned_.back().raw();
    }

    std::vector<Handle> owned_;
    std::vector<HANDLE> values_;
};

// What CreateProcess takes besides STARTUPINFO. It keeps pointers to the values it is given.
class Attributes {
public:
    explicit Attributes(DWORD count) {
        SIZE_T size = 0;
        InitializeProcThreadAttributeList(nullptr, count, 0, &size);
        memory_ = std::make_unique<std::byte[]>(size);
        if (InitializeProcThreadAttributeList(get(), count, 0, &size) == 0)
            throw_last_error("cannot prepare a process");
    }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    ~Attributes() { DeleteProcThreadAttributeList(get()); }

    void set(DWORD_PTR attribute, HANDLE* values, std::size_t count) {
        if (UpdateProcThreadAttribute(get(), 0, attribute, values, count * sizeof(HANDLE), nullptr, nullptr) == 0) {
            throw_last_error("cannot prepare a process");
        }
    }
    LPPROC_THREAD_ATTRIBUTE_LIST get() const noexcept {
        return reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(memory_.get());
    }

private:
    std::unique_ptr<std::byte[]> memory_;
};

class SpawnedChild final : public Child {
public:
    SpawnedChild(Handle interrupt, std::shared_ptr<Handle> process)
        : interrupt_(std::move(interrupt)), process_(std::move(process)) {}

    std::uint32_t pid() const noexcept override { return pid_; }
    void set_pid(std::uint32_t pid) noexcept { pid_ = pid; }

    // The handle means this one process for as long as it is open; for one that has ended the calls fail.
    void signal(Signal signal) noexcept override {
        switch (signal) {
            case Signal::interrupt: SetEvent(native(interrupt_.raw())); break;
            case Signal::terminate: TerminateProcess(native(process_->raw()), terminated_code); break;
            case Signal::kill: TerminateProcess(native(process_->raw()), killed_code); break;
        }
    }

    RawHandle sentinel() const noexcept override { return process_->raw(); }

private:
    Handle interrupt_;
    std::shared_ptr<Handle> process_;
    std::uint32_t pid_ = 0;
};

// Relative paths mean this process's directory, not the one that the child gets.
std::wstring absolute(const std::wstring& path) {
    std::wstring result(MAX_PATH, L'\0');
    for (;;) {
        const DWORD length = GetFullPathNameW(path.c_str(), static_cast<DWORD>(result.size()), result.data(), nullptr);
        if (length == 0) {
            const DWORD error = GetLastError();
            throw_system_error("cannot find " + narrow(path), error);
        }
        const bool fits = length < result.size();  // else the length includes the final null character
        result.resize(length);
        if (fits) return result;
    }
}

PROCESS_INFORMATION create_process(const Launch& request, const std::string& executable, const std::string& bootstrap,
                                   STARTUPINFOW streams, Inheritance& inheritance) {
    const std::wstring path = absolute(widen(executable));
    std::wstring command_line = L"\"" + path + L"\"";  // no path contains quotes; CreateProcess may write to its copy
    std::wstring environment = environment_block(request.env, bootstrap);
    const std::wstring directory = request.cwd ? widen(*request.cwd) : std::wstring();

    // A program without a console would otherwise show a console window for each child.
    DWORD one_pid = 0;
    const bool has_console = GetConsoleProcessList(&one_pid, 1) != 0;
    const DWORD flags =
        EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT | (has_console ? 0U : CREATE_NO_WINDOW);

    HANDLE job = family_job();
    // In a job from its first instruction on: between a start and a later assignment this process could die. A system
    // that does not let it into a job (one that is limited in a way that allows no nesting) starts it without; then
    // only the thread that `settle` starts watches this process.
    bool in_job = true;
    for (int failures = 0;;) {
        Attributes attributes(in_job ? 2 : 1);
        attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, inheritance.values().data(), inheritance.values().size());
        if (in_job) attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, &job, 1);
        STARTUPINFOEXW startup{};
        startup.StartupInfo = streams;
        startup.StartupInfo.cb = sizeof startup;
        startup.lpAttributeList = attributes.get();
        PROCESS_INFORMATION process{};
        if (CreateProcessW(path.c_str(), command_line.data(), nullptr, nullptr, TRUE, flags, environment.data(),
                           request.cwd ? directory.c_str() : nullptr, &startup.StartupInfo, &process) != 0) {
            return process;
        }
        const DWORD error = GetLastError();
        const bool may_be_the_job = error == ERROR_ACCESS_DENIED || error == ERROR_NOT_SUPPORTED;
        if (in_job && may_be_the_job) {
            in_job = false;
        } else if (error != ERROR_INTERNAL_ERROR || ++failures == most_broken_starts) {
            // The exception: the system began to make the process and gave it up, as Wine does now and then when many
            // start at once. Then there is none, and it can be tried again.
            throw_system_error("cannot start " + executable, error);
        }
    }
}

}  // namespace

std::vector<StartMethod> start_methods() { return {StartMethod::spawn}; }

std::unique_ptr<Child> launch(const Launch& request, std::function<void(ExitStatus)> on_exit) {
    if (request.method != StartMethod::spawn) {
        const char* const name = request.method == StartMethod::fork         ? "fork"
                                 : request.method == StartMethod::forkserver ? "forkserver"
                                                                             : "automatic";
        throw std::invalid_argument(std::string("Windows has no start method \"") + name + "\", only \"spawn\"");
    }
    Inheritance inheritance;
    STARTUPINFOW streams{};
    streams.dwFlags = STARTF_USESTDHANDLES | STARTF_FORCEOFFFEEDBACK;
    streams.hStdInput = native(inheritance.add_null_device(GENERIC_READ));
    streams.hStdOutput = native(inheritance.add_null_device(GENERIC_WRITE));
    BootstrapNumbers numbers;
    numbers.out = inheritance.add_stream(request.out, STD_OUTPUT_HANDLE, stdout);
    numbers.err = inheritance.add_stream(request.err, STD_ERROR_HANDLE, stderr);
    // One copy for the C runtime's own stream, which lives from the beginning, and one for `settle` to install.
    streams.hStdError = native(inheritance.add(numbers.err));

    Handle interrupt = own(CreateEventW(nullptr, FALSE, FALSE, nullptr));
    if (!interrupt) throw_last_error("cannot create an event");
    numbers.interrupt = inheritance.add(native(interrupt.raw()), SYNCHRONIZE);
    numbers.parent_pid = GetCurrentProcessId();
    numbers.parent =
        inheritance.add(GetCurrentProcess(), PROCESS_DUP_HANDLE | SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION);
    for (const RawHandle handle : request.handles) numbers.handles.push_back(inheritance.add(handle));

    // From here on only the start itself can fail.
    ExitWatch watch(std::move(on_exit));
    const auto process = std::make_shared<Handle>();
    auto child = std::make_unique<SpawnedChild>(std::move(interrupt), process);
    const std::string executable = request.executable.empty() ? executable_path() : request.executable;
    const PROCESS_INFORMATION started = create_process(request, executable, numbers.text(), streams, inheritance);
    CloseHandle(started.hThread);
    process->reset(raw(started.hProcess));
    child->set_pid(started.dwProcessId);
    watch.start(process);
    return child;
}

}  // namespace multiproc::os
