/// @file
/// One function in a process of its own.
///
/// ```cpp
/// multiproc::Process p(task, 42);        // Process<std::string>: the result's type is found out
/// p.start();
/// p.join();
/// std::string s = p.result();            // or throws what the child threw
///
/// multiproc::Process log(multiproc::ProcessOptions{.name = "log", .daemon = true}, write_log, path);
/// ```
///
/// Semantics follow Python's `multiprocessing.Process`; what differs is said at each function.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <multiproc/config.hpp>
#include <multiproc/detail/task.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/exit_status.hpp>
#include <multiproc/start_method.hpp>
#include <multiproc/timeout.hpp>
#include <multiproc/worker.hpp>

namespace multiproc {

/// Where a child's standard output or error goes.
class Redirect {
public:
    /// To where this process's own goes at the moment of the start.
    Redirect() = default;
    /// To nowhere.
    static Redirect null() { return Redirect(Kind::null, {}); }
    /// To the file `path` (UTF-8), emptied first, or continued at its end if `append`.
    static Redirect file(std::string path, bool append = false) {
        return Redirect(append ? Kind::append : Kind::file, std::move(path));
    }
    /// To an open descriptor or HANDLE of this process, e.g. the writing end of a pipe. It stays the caller's and must
    /// be open until `start` has returned.
    static Redirect handle(std::intptr_t native) { return Redirect(Kind::handle, {}, native); }

    enum class Kind : std::uint8_t { inherit, null, file, append, handle };
    Kind kind() const noexcept { return kind_; }
    const std::string& path() const noexcept { return path_; }
    std::intptr_t native() const noexcept { return native_; }

private:
    Redirect(Kind kind, std::string path, std::intptr_t native = -1)
        : kind_(kind), path_(std::move(path)), native_(native) {}

    Kind kind_ = Kind::inherit;
    std::string path_;
    std::intptr_t native_ = -1;
};

/// What can be chosen for a process. Everything has a default: `ProcessOptions{.name = "indexer"}`.
struct ProcessOptions {
    std::string name = {};  ///< else "Process-1", "Process-2", ...; "Process-1:1" in a child
    bool daemon = false;    ///< ended at the program's end, not awaited
    StartMethod start_method = StartMethod::automatic;  ///< see start_method.hpp
    std::optional<std::string> cwd = {};                ///< working directory (UTF-8); else this process's at the start
    std::optional<std::vector<std::string>> env = {};   ///< "NAME=value" each; else this process's at the start
    Redirect out = {};                                  ///< standard output
    Redirect err = {};                                  ///< standard error
};

namespace detail {
class ProcessState;
}  // namespace detail

/// Something to wait for: the end of a process. A plain value that may outlive its process object.
class MULTIPROC_API Sentinel {
public:
    /// Whether the process has ended. Thread-safe.
    bool ready() const noexcept;
    friend bool operator==(const Sentinel&, const Sentinel&) noexcept = default;

private:
    friend class ProcessHandle;
    friend MULTIPROC_API std::vector<Sentinel> wait(std::span<const Sentinel>, std::optional<Timeout>);
    explicit Sentinel(std::shared_ptr<detail::ProcessState> state) : state_(std::move(state)) {}
    std::shared_ptr<detail::ProcessState> state_;
};

/// Waits until at least one of `sentinels` is ready or `timeout` has passed, and returns those that are ready, in the
/// order given; none after a timeout. A zero or negative timeout asks without waiting; none (the default) waits for
/// ever.
/// Throws std::invalid_argument if `sentinels` is empty and there is no timeout. Thread-safe.
/// Source: Python's `multiprocessing.connection.wait`.
MULTIPROC_API std::vector<Sentinel> wait(std::span<const Sentinel> sentinels,
                                         std::optional<Timeout> timeout = std::nullopt);
/// The same: `wait({a.sentinel(), b.sentinel()})`. For other things than ends of processes see wait.hpp.
inline std::vector<Sentinel> wait(std::initializer_list<Sentinel> sentinels,
                                  std::optional<Timeout> timeout = std::nullopt) {
    return wait(std::span<const Sentinel>(sentinels.begin(), sentinels.size()), timeout);
}

/// A process without its result's type: what `active_children` returns. Copies refer to the same process. All functions
/// are thread-safe. In a copy of the program that the host forked on its own, every function throws ClosedError.
class MULTIPROC_API ProcessHandle {
public:
    /// Starts the process. Throws std::logic_error if it was started before, BootstrapError without `freeze_support()`,
    /// StartError if the system refuses, std::invalid_argument for a start method that the platform lacks.
    void start();

    /// Waits for its end. Throws std::logic_error before the start. Joining again is fine.
    void join() const;
    /// Waits for its end, at most `timeout`; zero or negative only asks. Returns whether it has ended.
    /// Throws std::logic_error before the start.
    bool join_for(Timeout timeout) const;

    /// Whether it runs: started and not ended.
    bool is_alive() const;
    /// How it ended; nothing before that. Source: Python's `exitcode`.
    std::optional<ExitStatus> exit_status() const;

    /// Asks it to end: SIGTERM on POSIX, TerminateProcess on Windows (both reported as SIGTERM). Its children end with
    /// it. Nothing happens if it has ended. Throws std::logic_error before the start.
    void terminate() const;
    /// Ends it at once (SIGKILL, TerminateProcess).
    void kill() const;
    /// Does to it what Ctrl+C does: SIGINT on POSIX; on Windows its SIGINT handler runs, or it ends with
    /// CONTROL_C_EXIT.
    void interrupt() const;

    /// Gives up what is kept for the process. Afterwards every function throws ClosedError, but a second close is fine.
    /// Throws std::logic_error while it is alive.
    void close();

    /// Its process id; 0 before the start.
    std::uint32_t pid() const;
    std::string name() const;
    bool daemon() const;
    /// What `wait` takes. Throws std::logic_error before the start.
    Sentinel sentinel() const;

    /// Whether both refer to the same process.
    friend bool operator==(const ProcessHandle&, const ProcessHandle&) noexcept = default;

protected:
    explicit ProcessHandle(ProcessOptions options);
    explicit ProcessHandle(std::shared_ptr<detail::ProcessState> state) noexcept : state_(std::move(state)) {}

    /// What the child is to run; empties the message.
    void set_target(detail::TaskTarget target);
    /// Where callable and arguments are written after that.
    OutputBuffer& message();
    void callable_written() noexcept;
    template <class R>
    R read_value() const {
        if constexpr (std::is_void_v<R>) {
            read_result([](InputBuffer&, void*) {}, nullptr);
        } else {
            std::optional<R> value;
            read_result([](InputBuffer& in,
                           void* out) { static_cast<std::optional<R>*>(out)->emplace(detail::decode_result<R>(in)); },
                        &value);
            return *std::move(value);
        }
    }

private:
    /// Waits for the end, then shows the bytes of the result to `read`, or throws what the child threw or how it died.
    void read_result(void (*read)(InputBuffer&, void*), void* context) const;
    friend MULTIPROC_API std::vector<ProcessHandle> active_children();
    detail::ProcessState& state() const;

    std::shared_ptr<detail::ProcessState> state_;
};

/// The children of this process that are alive, in the order of their start; ended ones are reaped. Workers of pools
/// are not among them. Thread-safe. Source: Python's `multiprocessing.active_children`.
MULTIPROC_API std::vector<ProcessHandle> active_children();

/// A function, its arguments, and the process that runs it; `R` is what the function returns. It starts with `start`.
///
/// A Process that goes out of scope while its process runs leaves it running, as in Python: at the end of the program
/// it is awaited, or ended if it is a daemon. A Process can be moved; it belongs to the process that made it.
template <class R = void>
class Process : public ProcessHandle {
public:
    /// `f`: a function, a lambda without captures, a callable object with fields, or `partial`. `args` are converted
    /// now to the types of its parameters. Throws CodecError if they cannot be encoded, std::invalid_argument for an
    /// empty function pointer.
    template <class F, class... Args>
        requires(!std::is_base_of_v<ProcessHandle, std::remove_cvref_t<F>> &&
                 !std::is_same_v<std::remove_cvref_t<F>, ProcessOptions>)
    explicit Process(F&& f, Args&&... args)
        : Process(ProcessOptions{}, std::forward<F>(f), std::forward<Args>(args)...) {}

    /// The same with options.
    template <class F, class... Args>
    Process(ProcessOptions options, F&& f, Args&&... args) : ProcessHandle(std::move(options)) {
        using Task = detail::Task<F, Args...>;
        static_assert(std::is_same_v<typename Task::Result, R>,
                      "multiproc: Process<R>: R is not what the function returns; leave it out: Process p(f, args...)");
        const typename Task::Function function(std::forward<F>(f));
        set_target(Task::target(function));
        Task::write_callable(message(), function);
        callable_written();
        Task::write_item(message(), std::forward<Args>(args)...);
    }

    Process(Process&&) noexcept = default;
    Process& operator=(Process&&) noexcept = default;

    /// What the function returned; waits for the end first. It can be read any number of times, each time anew.
    /// Throws what the function threw (as `Remote<E>`, which is an `E`), WorkerDied if the process ended without a
    /// result, BootstrapError if it never came to run it, std::logic_error before the start. Thread-safe.
    R result() const { return read_value<R>(); }
};

namespace detail {
// Compilers differ on whether a guide's constraint or its type is looked at first; this is harmless for what the
// constraint rules out.
template <class F, class... Args>
struct DeducedResult {
    using type = task_result_t<F, Args...>;
};
template <class F, class... Args>
    requires(std::is_base_of_v<ProcessHandle, F> || std::is_same_v<F, ProcessOptions>)
struct DeducedResult<F, Args...> {
    using type = void;
};
}  // namespace detail

template <class F, class... Args>
    requires(!std::is_base_of_v<ProcessHandle, F> && !std::is_same_v<F, ProcessOptions>)
Process(F, Args...) -> Process<typename detail::DeducedResult<F, Args...>::type>;
template <class F, class... Args>
Process(ProcessOptions, F, Args...) -> Process<detail::task_result_t<F, Args...>>;

namespace detail {
template <class Derived>
struct RunOf {
    auto operator()(Derived object) const { return object.run(); }
};
}  // namespace detail

/// A process in the style of a class with a `run` function, whose fields travel to the child:
///
/// ```cpp
/// struct Greeter : multiproc::Runnable<Greeter> {
///     std::string who = "world";
///     std::string run() { return "hello " + who; }
///     template <class Archive> void serialize(Archive& archive) { archive(who); }   // the fields that travel
/// };
/// Greeter greeter;
/// greeter.who = "you";
/// greeter.start();
/// std::string s = greeter.result();   // "hello you"
/// ```
///
/// `Derived` must be default constructible and movable. The fields are copied into the child by `start`; what `run`
/// changes stays there. Source: Python's subclasses of `Process` that override `run`.
template <class Derived>
class Runnable : public ProcessHandle {
public:
    explicit Runnable(ProcessOptions options = {}) : ProcessHandle(std::move(options)) {}

    /// As ProcessHandle::start, with the fields as they are now.
    void start() {
        using Task = detail::Task<detail::RunOf<Derived>, const Derived&>;
        set_target(Task::target({}));
        Task::write_item(message(), static_cast<const Derived&>(*this));
        ProcessHandle::start();
    }

    /// What `run` returned; as Process::result.
    auto result() const {
        using R = typename detail::Task<detail::RunOf<Derived>, const Derived&>::Result;
        return read_value<R>();
    }
};

}  // namespace multiproc
