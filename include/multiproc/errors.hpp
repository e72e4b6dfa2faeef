/// @file
/// What the library throws.
///
/// ```cpp
/// try {
///     pool.apply(parse, text);
/// } catch (const std::out_of_range& error) {         // thrown in the worker, caught as its own type
///     if (auto* remote = dynamic_cast<const multiproc::RemoteError*>(&error)) std::cerr << remote->pid();
/// } catch (const multiproc::WorkerDied& error) {     // the worker crashed; the pool goes on
///     std::cerr << error.what();
/// }
/// ```
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include <multiproc/config.hpp>
#include <multiproc/exit_status.hpp>

namespace multiproc {

/// The base of the library's own errors.
class MULTIPROC_API Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    ~Error() override;
};

/// A process cannot start its children, or a child could not become one: `freeze_support()` is missing or late, or the
/// child runs a different build of the program.
class MULTIPROC_API BootstrapError : public Error {
public:
    using Error::Error;
    ~BootstrapError() override;
};

/// The system refused to start a process: a limit was reached, or the executable is gone.
class MULTIPROC_API StartError : public Error {
public:
    using Error::Error;
    ~StartError() override;
};

/// A value could not be turned into bytes, or bytes into a value.
class MULTIPROC_API CodecError : public Error {
public:
    using Error::Error;
    ~CodecError() override;
};

/// A time limit passed.
class MULTIPROC_API TimeoutError : public Error {
public:
    using Error::Error;
    ~TimeoutError() override;
};

/// The task was cancelled before it had a result.
class MULTIPROC_API CancelledError : public Error {
public:
    using Error::Error;
    ~CancelledError() override;
};

/// The object was closed or terminated and takes no more work, or it was never in the state that the call needs.
class MULTIPROC_API ClosedError : public Error {
public:
    using Error::Error;
    ~ClosedError() override;
};

/// The pool's workers cannot be started or initialised, so it takes no more work.
class MULTIPROC_API BrokenPool : public Error {
public:
    using Error::Error;
    ~BrokenPool() override;
};

/// A barrier was aborted or reset, or somebody who waited for it gave up: nobody gets through any more.
class MULTIPROC_API BrokenBarrierError : public Error {
public:
    using Error::Error;
    ~BrokenBarrierError() override;
};

/// The user asked the program to stop (Ctrl+C) while it waited.
class MULTIPROC_API Interrupted : public Error {
public:
    using Error::Error;
    ~Interrupted() override;
};

/// The process that ran a task ended before the task had a result.
class MULTIPROC_API WorkerDied : public Error {
public:
    /// `status`: how the process ended; `pid`: its process id; `task`: the name of what it ran.
    WorkerDied(ExitStatus status, std::uint32_t pid, std::string task);
    ~WorkerDied() override;

    ExitStatus status() const noexcept { return status_; }
    std::uint32_t pid() const noexcept { return pid_; }
    const std::string& task() const noexcept { return task_; }

private:
    ExitStatus status_;
    std::uint32_t pid_;
    std::string task_;
};

/// Mixed into every error that was thrown in another process and is thrown again here. It is no exception itself, so
/// that `catch (const std::exception&)` stays unambiguous; reach it by `dynamic_cast` or `catch (const RemoteError&)`.
class MULTIPROC_API RemoteError {
public:
    struct Origin {
        std::string type_name;  ///< the type that was thrown there, demangled
        std::string text;       ///< its what()
        std::uint32_t pid = 0;  ///< the process that threw
        std::string task;       ///< the name of what it ran
    };

    explicit RemoteError(Origin origin) : origin_(std::move(origin)) {}
    virtual ~RemoteError();

    const std::string& type_name() const noexcept { return origin_.type_name; }
    const std::string& text() const noexcept { return origin_.text; }
    std::uint32_t pid() const noexcept { return origin_.pid; }
    const std::string& task() const noexcept { return origin_.task; }

private:
    Origin origin_;
};

/// What is thrown here for an `E` that was thrown in another process: an `E` with the same text, and a RemoteError.
template <class E>
class Remote : public E, public RemoteError {
public:
    Remote(E error, Origin origin) : E(std::move(error)), RemoteError(std::move(origin)) {}

    /// The text as it was there, also where `E` cannot store one (std::bad_alloc).
    const char* what() const noexcept override { return text().c_str(); }
};

}  // namespace multiproc
