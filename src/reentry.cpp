#include "reentry.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>

#include <multiproc/errors.hpp>
#include <multiproc/freeze_support.hpp>

#include "channel.hpp"
#include "child_main.hpp"
#include "die_here.hpp"
#include "preload.hpp"
#include "runtime.hpp"

namespace multiproc {
namespace {

// What a child exits with when it never became one. The parent knows by the channel's phase, not by this number.
constexpr std::uint32_t failed_bootstrap_code = 112;

constexpr const char* late_message =
    "multiproc: this process was started as a child, but its main() did not call multiproc::freeze_support()";
constexpr const char* late_advice = ". Call it as the first line of main(), unconditionally.\n";

std::chrono::seconds arrival_limit() {
    if (const char* text = std::getenv("MULTIPROC_BOOTSTRAP_TIMEOUT")) {
        const long seconds = std::strtol(text, nullptr, 10);
        if (seconds > 0) return std::chrono::seconds(seconds);
    }
    return std::chrono::seconds(30);
}

// Stands guard in every child from static initialisation until freeze_support: a child that goes another way ends in
// bounded time and says why. Its standard output is still the null device then, so nothing of main shows up twice.
class ArrivalGuard {
public:
    ArrivalGuard() {
        if (!os::is_bootstrap_pending()) return;
        waiting_ = true;
        os::begin_arrival_watch(arrival_limit(), []() noexcept { give_up(" in time"); });
    }
    // main returned, or exit() was called, without coming by.
    ~ArrivalGuard() {
        if (waiting_) give_up(" before it ended");
    }

    void arrive() noexcept {
        if (waiting_.exchange(false)) os::end_arrival_watch();
    }

private:
    [[noreturn]] static void give_up(const char* how) {
        os::print_error(std::string(late_message) + how + late_advice);
        os::exit_now(failed_bootstrap_code);
    }

    std::atomic<bool> waiting_ = false;
};

ArrivalGuard arrival_guard;

std::atomic<bool> arrived{false};

// What set_executable named. Those of before are never freed, as another thread may be reading one; and there is no
// mutex, as a copy made by fork could find it locked for ever.
struct Executable {
    std::string path;
    const Executable* before;
};
std::atomic<const Executable*> executable{nullptr};

// Handles that every child gets, in this order; the parking lot's follow.
enum HandleOrder : std::size_t {
    channel_handle,
    link_handle,
    runtime_handle,
    doorbell_handle,
    arena_handle,
    store_handle,
    fixed_handles
};

// Empty if all is well; else what is wrong with running this executable for that parent.
std::string check_build(const StartInfo& info) {
    if (info.executable_build.empty()) return {};  // the parent meant another executable
    const os::Module mine = os::main_module();
    if (mine.build_id == info.executable_build) return {};
    return "multiproc: the executable " + mine.path +
           " is another build than the process that started it; it was replaced while the program runs. Restart the "
           "program.\n";
}

[[noreturn]] void fail_bootstrap(const std::string& text) {
    os::print_error(text);
    os::exit_now(failed_bootstrap_code);
}

}  // namespace

void detail::enter_program() {
    arrival_guard.arrive();
    std::optional<os::Bootstrap> bootstrap;
    try {
        // Taken even if this is not the first call: a process has at most one bootstrap.
        bootstrap = os::take_bootstrap(preload_in_server);
    } catch (const std::exception& error) {
        // A child that cannot become one must not go on as the program.
        fail_bootstrap(std::string("multiproc: this child process cannot begin: ") + error.what() + "\n");
    }
    arrived.store(true, std::memory_order_release);
    if (bootstrap) run_child(*std::move(bootstrap));
}

void set_executable(const std::string& path) {
    auto* const next = new Executable{path, executable.load(std::memory_order_acquire)};
    while (!executable.compare_exchange_weak(next->before, next, std::memory_order_acq_rel)) {}
}

std::string child_executable() {
    const Executable* const current = executable.load(std::memory_order_acquire);
    return current == nullptr ? std::string() : current->path;
}

bool has_foreign_executable() { return !child_executable().empty(); }

void require_reentry() {
    if (os::is_bootstrap_pending()) {
        throw BootstrapError(
            "multiproc: this process is itself a child that has not reached multiproc::freeze_support() yet, so it "
            "cannot start processes; call freeze_support() as the first line of main()");
    }
    if (!arrived.load(std::memory_order_acquire) && !has_foreign_executable()) {
        throw BootstrapError(
            "multiproc: call multiproc::freeze_support() as the first line of main() before starting a Process or a "
            "Pool; child processes enter the program there. (Code in a shared library of a foreign program: call "
            "multiproc::set_executable() instead; test programs: link multiproc::gtest_main.)");
    }
}

void run_child(os::Bootstrap bootstrap) {
    arrived.store(true, std::memory_order_release);  // after a plain fork nobody else has said so
    try {
        if (bootstrap.handles.size() < fixed_handles)
            throw BootstrapError("multiproc: parent and child use different versions of the library");
        die_here(DeathPoint::child_is_there);
        Channel channel = Channel::adopt(std::move(bootstrap.handles[channel_handle]));
        die_here(DeathPoint::child_has_channel);
        const StartInfo info = channel.info();
        if (const std::string wrong = check_build(info); !wrong.empty()) {
            channel.set_phase(Phase::wrong_build);
            fail_bootstrap(wrong);
        }
        std::vector<os::Handle> lot(std::make_move_iterator(bootstrap.handles.begin() + fixed_handles),
                                    std::make_move_iterator(bootstrap.handles.end()));
        ChildEnd end{std::move(channel), os::HandleLink::adopt(std::move(bootstrap.handles[link_handle])), {}};
        if (end.channel.control().role == Role::pool_worker)
            end.doorbell = os::Segment::adopt(std::move(bootstrap.handles[doorbell_handle]), sizeof(DoorbellPage));
        os::settle(bootstrap, info.name);
        die_here(DeathPoint::child_settled);
        // Not before: now it is certain that this process is the one that its parent knows.
        const ControlBlock& control = end.channel.control();
        if (info.is_confined) {
            Runtime::be_alone(std::move(lot));
            for (const HandleOrder place : {runtime_handle, arena_handle, store_handle})
                bootstrap.handles[place].reset();
        } else {
            Runtime::adopt(os::Segment::adopt(std::move(bootstrap.handles[runtime_handle]), Runtime::segment_size),
                           std::move(bootstrap.handles[arena_handle]), std::move(bootstrap.handles[store_handle]),
                           std::move(lot), {control.process_index, control.process_generation});
        }
        end.channel.set_phase(Phase::arrived);
        run_child_main(std::move(end), info);
    } catch (const std::exception& error) { fail_bootstrap(std::string(error.what()) + "\n"); }
}

}  // namespace multiproc
