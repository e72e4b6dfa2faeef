// The port boundary: everything that the library asks of an operating system.
//
// Both back ends implement exactly these declarations, in files of the same names under src/posix and src/win32.
// Nothing above this header knows a platform; nothing below it knows tasks, pools or codecs.
//
// Conventions: failures of the system are std::system_error with the system's own code, unless a comment says
// otherwise. Sizes are in bytes. Text is UTF-8. What is not marked thread-safe belongs to one thread at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/config.hpp>
#include <multiproc/exit_status.hpp>
#include <multiproc/start_method.hpp>

namespace multiproc::os {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;
inline constexpr Deadline never = Deadline::max();

// ---- handles.cpp: descriptors and HANDLEs ---------------------------------------------------------------------------

using RawHandle = std::intptr_t;  // a descriptor, or a Windows HANDLE
inline constexpr RawHandle no_handle = -1;

// Owns one descriptor or HANDLE, never inherited by a process that the program starts on its own.
class Handle {
public:
    Handle() noexcept = default;
    explicit Handle(RawHandle raw) noexcept : raw_(raw) {}
    Handle(Handle&& other) noexcept : raw_(std::exchange(other.raw_, no_handle)) {}
    Handle& operator=(Handle&& other) noexcept {
        if (this != &other) reset(std::exchange(other.raw_, no_handle));
        return *this;
    }
    ~Handle() { reset(); }

    RawHandle raw() const noexcept { return raw_; }
    explicit operator bool() const noexcept { return raw_ != no_handle; }
    RawHandle release() noexcept { return std::exchange(raw_, no_handle); }
    void reset(RawHandle raw = no_handle) noexcept;  // closes what it owns

private:
    RawHandle raw_ = no_handle;
};

Handle duplicate(RawHandle raw);

// files.cpp: opens a file for writing, emptied first unless `append`; an empty path is the null device.
Handle open_output(const std::string& path, bool append);

// How many handles this process has open; for leak checks. Thread-safe.
std::size_t open_handle_count();

// ---- shared_memory.cpp: anonymous shared memory ---------------------------------------------------------------------

// A piece of shared memory without a name, mapped here. It is gone with its last handle and
// mapping, however its users ended. New memory is zeroed.
class Segment {
public:
    Segment() noexcept = default;
    Segment(Segment&& other) noexcept;
    Segment& operator=(Segment&& other) noexcept;
    ~Segment();

    // Pages are taken from the system as they are touched.
    static Segment create(std::size_t size);
    // Maps what another process created. A handle that is no shared memory of at least `size` bytes, or that its
    // creator could still cut shorter (a later access would then be a bus error here), is refused with
    // std::errc::bad_message.
    // With Access::read a write through the mapping ends this process.
    enum class Access : std::uint8_t { read, read_write };
    static Segment adopt(Handle handle, std::size_t size, Access access = Access::read_write);
    // Memory that counts as used only where it was committed: for large segments of which little may ever be needed.
    static Handle create_sparse(std::size_t size);
    static Segment adopt_sparse(Handle handle, std::size_t size);
    // Makes a part of sparse memory usable in this process: to be called by each that touches it. Whole 64 KiB at once;
    // doing it again costs a call. False if the system has no memory left. Where it is not needed it does nothing.
    static bool needs_commit() noexcept;
    bool commit(std::size_t offset, std::size_t size) const noexcept;
    // Gives whole pages back to the system, and makes them zero. False if it cannot.
    bool discard(std::size_t offset, std::size_t size) const noexcept;

    std::byte* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    RawHandle handle() const noexcept { return handle_.raw(); }
    // Closes the handle; the mapping stays.
    void drop_handle() noexcept { handle_.reset(); }
    // The same where the handle is closed already: in a copy of the process.
    void disown_handle() noexcept { handle_.release(); }
    explicit operator bool() const noexcept { return data_ != nullptr; }

private:
    Segment(Handle handle, std::byte* data, std::size_t size) noexcept
        : handle_(std::move(handle)), data_(data), size_(size) {}

    Handle handle_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

// ---- parking.cpp: sleeping until another process changes a word -----------------------------------------------------

// Where threads of cooperating processes sleep. The protocol is that of a futex: a waiter sleeps only while
// `word == expected`, and whoever changes the word calls `unpark` afterwards. At most one thread waits at a slot at a
// time. `unpark` before `park` is never lost as long as the word was changed before it; `park` may return early for no
// reason, so callers loop.
//
// A slot is an index into a table that every descendant inherits. Where the kernel can wait for a word itself (futex,
// os_sync_wait_on_address) the slot is not used; on Windows it names an auto-reset event, because WaitOnAddress does
// not cross processes.
class ParkingLot {
public:
    virtual ~ParkingLot() = default;
    static constexpr std::size_t slot_count = 1024;

    // For the first process of a program. Throws std::system_error.
    static std::unique_ptr<ParkingLot> create();
    // The handles a child needs to share this lot (none on POSIX), in the order that `adopt` takes them.
    virtual std::vector<RawHandle> handles() const = 0;
    static std::unique_ptr<ParkingLot> adopt(std::vector<Handle> handles);

    // Thread-safe as described above. `deadline` may be `never`. Returns false when the deadline passed.
    virtual bool park(std::size_t slot, const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                      Deadline deadline) noexcept = 0;
    // Thread-safe.
    virtual void unpark(std::size_t slot, const std::atomic<std::uint32_t>& word) noexcept = 0;

    // From now on this process sleeps and wakes at these slots only. What of the lot leads to other processes is given up.
    virtual void keep_only([[maybe_unused]] std::span<const std::size_t> slots) noexcept {}
};

// Memory of this process that is about to be filled: where the system can, it takes large pages for it, so that filling
// it does not cost a fault for every small one. A hint.
void expect_to_fill(void* memory, std::size_t size) noexcept;

// Tells the processor that this thread spins.
void relax_cpu() noexcept;

// The line of this byte will soon be written: has it come from the processor that has it now. No more than a hint.
void expect_to_write(const void* byte) noexcept;

// ---- handle_passing.cpp: handing a handle to a running process ------------------------------------------------------

class Child;

// One end of a two-way path for handles between a parent and its child. What was sent before the sender died can still
// be received. Each direction has one sender and one receiver at a time.
class HandleLink {
public:
    virtual ~HandleLink() = default;

    // The parent's end, and the handle that the child's end is made of; the child gets it through Launch::handles. A
    // confined child has no power over its parent by it, and what it sends is lost if it dies before that was received.
    enum class Peer : std::uint8_t { trusted, confined };
    static std::pair<std::unique_ptr<HandleLink>, Handle> create(Peer child = Peer::trusted);
    static std::unique_ptr<HandleLink> adopt(Handle child_end);
    // Tells the parent's end which child it leads to, once that is started. Before that `send` fails.
    virtual void connect(const Child& child) = 0;

    // Gives the peer copies of 1 to `most_handles` handles and returns the token by which it asks for them. Never blocks:
    // throws std::system_error when the peer is gone, or (std::errc::resource_unavailable_try_again) has left too many
    // unreceived.
    static constexpr std::size_t most_handles = 64;
    virtual std::uint64_t send(std::span<const RawHandle> handles) = 0;
    std::uint64_t send(RawHandle handle) { return send(std::span<const RawHandle>(&handle, 1)); }
    // The `count` handles that the peer sent under `token`; tokens are received in the order they were sent, and what was
    // sent before is dropped. Never blocks: throws std::system_error (std::errc::bad_message) when there are none such,
    // so a lying peer costs an error only.
    virtual std::vector<Handle> receive(std::uint64_t token, std::size_t count) = 0;
    Handle receive(std::uint64_t token) { return std::move(receive(token, 1).front()); }
};

// ---- handle_store.cpp: leaving a handle for whoever comes for it ----------------------------------------------------

// Handles that outlive the processes that send them. They are kept in the first process of a program, whose end is that
// of all the others, so nothing needs to be done after a death but what `drop` does. Nothing is set up before it is
// needed, but for one handle that every child inherits. Thread-safe.
class HandleStore {
public:
    virtual ~HandleStore() = default;

    // For the first process of a program. `is_wanted` tells whether a name is in use still, in case that `drop` could
    // not be called; from any thread, and it must not call the store.
    using IsWanted = bool (*)(std::uint64_t name) noexcept;
    static std::unique_ptr<HandleStore> create(IsWanted is_wanted);
    // What a child needs for `adopt`. To be called for each child: from the first call on other processes are served.
    // Throws std::system_error.
    virtual RawHandle handle() = 0;
    static std::unique_ptr<HandleStore> adopt(Handle handle);

    // Leaves a copy of `handle` under a name that no other one has had. `content` is the same for handles of the same
    // thing only: the store need not keep more than one of these. Returns where it is, which is needed besides. It is
    // there when this returns, so this process may end. Throws std::system_error: also when the first process can have no
    // more handles, or has closed what it is asked by.
    virtual std::uint64_t keep(std::uint64_t name, std::uint64_t content, RawHandle handle) = 0;
    // A copy of what is kept there. Throws std::system_error, also if that is nothing.
    virtual Handle fetch(std::uint64_t name, std::uint64_t place) = 0;
    // It is needed no more. `place` is 0 if that is not known, as after a death: then it may have been kept or not, and
    // on Windows stays where it is. Never waits long.
    virtual void drop(std::uint64_t name, std::uint64_t place) noexcept = 0;
};

// ---- launch.cpp, exit_watch.cpp (and on POSIX fork_server.cpp): starting a process and learning of its end ---------

// What a child has in its hands after `take_bootstrap`.
struct Bootstrap {
    std::vector<Handle> handles;   // Launch::handles, in that order
    std::uint32_t parent_pid = 0;  // of the process that asked for the start (not of the fork server)
    Handle parent;                 // what its end is awaited on
    Handle out, err;               // the standard streams to install
    std::string context;           // what a fork server's child must still apply (directory, environment, limits...)
    Handle control;                // back-end business: interrupt requests
};

struct Launch {
    StartMethod method = StartMethod::spawn;  // never `automatic`
    std::string executable;                   // empty: this executable
    std::vector<RawHandle> handles;           // what the child inherits besides its standard streams; borrowed
    RawHandle out = no_handle;                // the child's standard output and error; no_handle: this process's own as
    RawHandle err = no_handle;                //   they are now
    std::optional<std::string> cwd;           // else this process's as it is now
    std::optional<std::vector<std::string>> env;  // "NAME=value"; else this process's as it is now
    // Opaque to the port: what the fork server is to pass to the function that `take_bootstrap` was given, before it
    // forks; empty for nothing. Other methods do not use it.
    std::string preload;
    // Where a child made by `fork` goes on, with its bootstrap, instead of returning from main's freeze_support.
    void (*forked)(Bootstrap) = nullptr;
};

enum class Signal : std::uint8_t { interrupt, terminate, kill };

// A process we started. Its destructor forgets it; it does not end it.
class Child {
public:
    virtual ~Child() = default;
    virtual std::uint32_t pid() const noexcept = 0;
    // Thread-safe. Never reaches another process that got the same pid later; does nothing once the child has ended.
    virtual void signal(Signal signal) noexcept = 0;
    // The descriptor or HANDLE that becomes readable/signalled at its end, if the platform has one; else no_handle.
    virtual RawHandle sentinel() const noexcept = 0;
};

// Starts a process. `on_exit` is called exactly once, from a thread of the library, after the child has ended; with
// ExitStatus::unknown() where the system did not tell (the program reaped it, or ignores SIGCHLD). It must not throw or
// block. If the Child is destroyed earlier the call still comes. Everything inherited is closed here on failure, and no
// zombie is left. The child's stdin is empty, and its stdout is the null device until `settle`, so that what main does
// before freeze_support stays invisible. Thread-safe.
// Throws std::system_error, or std::invalid_argument for a method that the platform lacks.
std::unique_ptr<Child> launch(const Launch& request, std::function<void(ExitStatus)> on_exit);

// The start methods here, the default first.
std::vector<StartMethod> start_methods();

// True if this process was started by `launch` and has not called `take_bootstrap` yet. A set-uid program answers no.
bool is_bootstrap_pending() noexcept;
// In a process whose bootstrap is pending: calls `late`, which must end the process, on a thread of the library unless
// `end_arrival_watch` is called within `limit`. Throws std::system_error.
void begin_arrival_watch(std::chrono::seconds limit, void (*late)() noexcept);
// Does not return while `late` is being called. Does nothing if no watch was begun.
void end_arrival_watch() noexcept;
// Takes the bootstrap out of the environment, so that grandchildren start clean; nothing if there is none. In a fork
// server it serves, and returns in each child it forks; when the program it serves has ended it does not return. There,
// `preload` is called with what a request brings; it may be called with the same again.
using PreloadFunction = void (*)(const std::string&) noexcept;
std::optional<Bootstrap> take_bootstrap(PreloadFunction preload = nullptr);
// Makes this process a proper child, in this order: signal mask and dispositions reset, the parent's end watched from
// now on (this process dies when the parent has died, also when that happened before the call), every inherited handle
// that is not ours closed, directory, environment and limits applied, name set, stdout and stderr installed.
// After a `fork` only descriptors of the library are closed: sharing the rest is what fork is for.
void settle(Bootstrap& bootstrap, const std::string& name);

// Ends the process at once: no destructors, no atexit handlers, no flushing.
[[noreturn]] void exit_now(std::uint32_t code) noexcept;
// Flushes the standard streams of C and C++, narrow and wide, and no others; closed or broken ones do no harm.
void flush_streams() noexcept;
// Writes `text` to standard error; a closed or broken one does no harm.
void print_error(const std::string& text) noexcept;
// Whether the system has ended all other threads of this process, which may have held any lock: so it is when a DLL of
// an ending Windows program runs its exit handlers.
bool are_threads_ended() noexcept;
// Ends what this process runs for its children (the fork server, the watching thread) and waits for it: for tests, which
// look at what is left. At the end of a program nobody calls it, as children of static objects may run until the very
// last; what it ends follows the program by itself.
void shut_down_launching() noexcept;
// In a copy of this process that the host forked on its own, or that `fork` made: forgets what the original runs.
void forget_launching() noexcept;

// ---- interrupt.cpp: Ctrl+C ------------------------------------------------------------------------------------------

// Called by a signal handler, or in any thread. Returns whether the process is to go on.
using OnInterrupt = bool (*)() noexcept;
// From now on `on_interrupt`, always the same function, decides what becomes of Ctrl+C, unless the program ignores it.
// One call at a time, until it is released. Throws std::system_error.
void catch_interrupts(OnInterrupt on_interrupt);
// As it was before, unless the program has changed it meanwhile.
void release_interrupts() noexcept;
// From now on Ctrl+C does nothing in this process.
void ignore_interrupts() noexcept;
// What Ctrl+C does.
void interrupt_this_process() noexcept;

// ---- modules.cpp: the executable, shared libraries and what is in them ----------------------------------------------

struct Module {
    std::string path;         // absolute
    std::uintptr_t base = 0;  // where it is loaded here
    std::string build_id;     // the same for the same code only: ELF build-id or Mach-O UUID, else a hash of its code
    bool is_executable = false;
};

// The module that holds `address` (code or data). Nothing if none does. Cached and thread-safe.
std::optional<Module> module_of(const void* address);
// The name of the function at `address`, where the module's table of exported symbols has it; else empty. (Executables
// export their functions only if they are linked so: CMake's ENABLE_EXPORTS.)
std::string symbol_of(const void* address);
// This program's executable.
Module main_module();
// Looks at all modules that are loaded here, so that `load_module` finds them when their files cannot be looked at any
// more.
void remember_modules();
// Loads the module at `path`, unless it is loaded already. Throws std::system_error or Error naming the path.
Module load_module(const std::string& path);
// Whether `address` lies in code that can be executed.
bool is_code(const void* address);
// Where this program's executable is now. Throws std::system_error.
std::string executable_path();

// ---- sandbox.cpp: a process that computes and does nothing else ------------------------------------------------------

// Empty if `enter_sandbox` can work here; else why not and what to do, for users. Thread-safe.
std::string sandbox_problem();
// Takes from this process, for good and for all its threads, the ways to everything that is not its own: those of the
// library itself (to a fork server, to the parent's process), and all that the system can take; see
// multiproc/sandbox.hpp. Everything that this port does for a child that works for its parent still works: parking, the
// handle link, segments. Throws std::system_error; what was taken by then is gone.
void enter_sandbox();

// ---- system.cpp: facts about this machine and process ---------------------------------------------------------------

// The processors this process may use, from its affinity and its control group's quota; at least 1.
std::size_t cpu_count();
// Exported, as multiproc::network, a library of its own, asks it too.
MULTIPROC_API std::uint32_t current_pid() noexcept;
// When the process started, in a unit of the system; together with the pid it names a process for good. 0 if unknown.
std::uint64_t start_time(std::uint32_t pid) noexcept;
// A start time of 0 means that any process with this pid will do.
bool is_running(std::uint32_t pid, std::uint64_t start_time) noexcept;
// A note that this process exists now, cheaper than its start time; and whether the process that took it still runs.
std::uint64_t note_life() noexcept;
bool is_still_running(std::uint32_t pid, std::uint64_t life) noexcept;
std::size_t thread_count();
// Sets a variable of this process's environment. Not thread-safe.
void set_variable(const char* name, const std::string& value);
// The function of this name in whatever is loaded, or nullptr.
void* find_function(const char* name) noexcept;
// This process gets no more memory than so many bytes from now on; what it asks for beyond that fails. On POSIX its
// address space is counted, but for so many bytes as are `mapped` without being used. Throws std::system_error.
void limit_memory(std::uint64_t bytes, std::uint64_t mapped = 0);
// Readable form of a compiler's type name.
std::string demangle(const char* name);

}  // namespace multiproc::os
