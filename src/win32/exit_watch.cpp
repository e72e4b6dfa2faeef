// The system's thread pool waits for any number of handles, where WaitForMultipleObjects ends at 64. The pool is our
// own: a host that fills the process's default pool with long work must not delay the news that a child died.
#include "win32/exit_watch.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "win32/exit_codes.hpp"

namespace multiproc::os {

struct ExitWatch::State {
    std::function<void(ExitStatus)> on_exit;
    std::shared_ptr<const Handle> process;
    PTP_WAIT wait = nullptr;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        if (wait != nullptr) CloseThreadpoolWait(wait);  // allowed within its own callback
    }
};

namespace {

class Watches {
public:
    Watches() : pool_(CreateThreadpool(nullptr)) {
        if (pool_ == nullptr) throw_last_error("cannot create a thread pool");
        SetThreadpoolThreadMaximum(pool_, 1);  // what runs there neither blocks nor takes long
        if (SetThreadpoolThreadMinimum(pool_, 1) == 0) {
            const DWORD error = GetLastError();
            CloseThreadpool(pool_);
            throw_system_error("cannot create the thread that waits for child processes", error);
        }
        InitializeThreadpoolEnvironment(&environment_);
        SetThreadpoolCallbackPool(&environment_, pool_);
    }

    Watches(const Watches&) = delete;
    Watches& operator=(const Watches&) = delete;

    PTP_WAIT make_wait(ExitWatch::State* state) {
        const PTP_WAIT wait = CreateThreadpoolWait(&Watches::ended, state, &environment_);
        if (wait == nullptr) throw_last_error("cannot prepare to wait for a child process");
        return wait;
    }

    void start(std::unique_ptr<ExitWatch::State> state, std::set<ExitWatch::State*>::node_type entry) noexcept {
        const std::lock_guard lock(mutex_);
        SetThreadpoolWait(state->wait, native(state->process->raw()), nullptr);
        active_.insert(std::move(entry));  // the callback, which may be under way, waits for the mutex
        state.release();
    }

    // Afterwards no callback runs or will run for the processes that were started before.
    void stop() noexcept {
        std::unique_lock lock(mutex_);
        std::set<ExitWatch::State*> left;
        left.swap(active_);
        idle_.wait(lock, [this] { return running_ == 0; });
        lock.unlock();
        for (ExitWatch::State* state : left) {
            SetThreadpoolWait(state->wait, nullptr, nullptr);
            WaitForThreadpoolWaitCallbacks(state->wait, TRUE);
            delete state;
        }
    }

private:
    static void CALLBACK ended(PTP_CALLBACK_INSTANCE, void* context, PTP_WAIT, TP_WAIT_RESULT) noexcept;

    std::mutex mutex_;
    std::condition_variable idle_;
    // A state belongs to whoever takes it out of here: its callback or `stop`.
    std::set<ExitWatch::State*> active_;
    std::size_t running_ = 0;  // callbacks that own their state
    PTP_POOL pool_;
    TP_CALLBACK_ENVIRON environment_{};
};

std::atomic<Watches*> made_watches{nullptr};

// Never destroyed: the pool's thread uses it until the process ends.
Watches& watches() {
    static Watches& all = *[] {
        auto* const made = new Watches;
        made_watches.store(made);
        return made;
    }();
    return all;
}

void CALLBACK Watches::ended(PTP_CALLBACK_INSTANCE, void* context, PTP_WAIT, TP_WAIT_RESULT) noexcept {
    Watches& all = *made_watches.load();
    auto* const state = static_cast<ExitWatch::State*>(context);
    {
        const std::lock_guard lock(all.mutex_);
        if (all.active_.erase(state) == 0) return;  // `stop` has it, and waits for this callback before it deletes it
        ++all.running_;
    }
    {
        const std::unique_ptr<ExitWatch::State> owner(state);
        DWORD code = 0;
        const bool is_known = GetExitCodeProcess(native(state->process->raw()), &code) != 0;
        state->on_exit(is_known ? exit_status_of(code) : ExitStatus::unknown());
    }  // what `on_exit` holds is gone before `stop` returns
    const std::lock_guard lock(all.mutex_);
    if (--all.running_ == 0) all.idle_.notify_all();
}

}  // namespace

ExitWatch::ExitWatch(std::function<void(ExitStatus)> on_exit) : state_(std::make_unique<State>()) {
    state_->on_exit = std::move(on_exit);
    state_->wait = watches().make_wait(state_.get());
    std::set<State*> single{state_.get()};
    entry_ = single.extract(single.begin());
}

ExitWatch::~ExitWatch() = default;

void ExitWatch::start(std::shared_ptr<const Handle> process) noexcept {
    state_->process = std::move(process);
    watches().start(std::move(state_), std::move(entry_));
}

void shut_down_launching() noexcept {
    if (Watches* const all = made_watches.load()) all->stop();
}

void forget_launching() noexcept {}  // no process is ever copied here

}  // namespace multiproc::os
