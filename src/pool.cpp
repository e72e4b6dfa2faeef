#include <multiproc/pool.hpp>

#include <algorithm>
#include <stdexcept>

#include <multiproc/worker.hpp>

#include "per_process.hpp"
#include "pool_engine.hpp"
#include "worker_limits.hpp"

namespace multiproc {
namespace {

// Every worker needs a place to sleep in the runtime's table, and the program has other uses for some.
constexpr std::int64_t most_workers = 1000;

// What shows without asking the system.
void check_sandbox(const PoolOptions& options, std::int64_t workers, const detail::StoredCall& initializer,
                   const detail::StoredCall& finalizer) {
    if (workers == 0) {
        throw std::invalid_argument(
            "multiproc: a pool without workers runs everything in this process, which cannot be in a sandbox; give "
            ".workers 1 or more, or leave .sandbox out");
    }
    if (options.start_method == StartMethod::fork) {
        throw std::invalid_argument(
            "multiproc: .sandbox does not go with StartMethod::fork, as its workers would be copies of this process, "
            "with "
            "all that it knows and has open; leave .start_method out, or give forkserver or spawn");
    }
    if (!initializer.attachments.empty() || !finalizer.attachments.empty()) {
        throw std::invalid_argument(
            "multiproc: the initializer and finalizer of a sandboxed pool cannot have shared objects or SharedArrays "
            "among their arguments, as its workers must not have them; pass their contents");
    }
}

// The calls come beside the options, since only Pool can take them out.
detail::PoolSettings check(PoolOptions options, detail::StoredCall preload, detail::StoredCall initializer,
                           detail::StoredCall finalizer) {
    detail::PoolSettings settings;
    const std::int64_t workers =
        options.workers ? options.workers->value() : static_cast<std::int64_t>(processor_share(os::cpu_count()));
    if (workers < 0 || workers > most_workers) {
        throw std::invalid_argument("multiproc: a pool cannot have " + std::to_string(workers) +
                                    " workers; give 1 to 1000, 0 to run everything in this process, or leave .workers "
                                    "out for one per processor");
    }
    if (options.max_tasks_per_worker.value() < 0) {
        throw std::invalid_argument("multiproc: .max_tasks_per_worker cannot be negative; leave it out for no limit");
    }
    if (options.memory_limit.value() < 0)
        throw std::invalid_argument("multiproc: .memory_limit cannot be negative; leave it out for no limit");
    const std::vector<StartMethod> methods = get_all_start_methods();
    if (options.start_method != StartMethod::automatic &&
        std::ranges::find(methods, options.start_method) == methods.end()) {
        start_method_from(to_string(options.start_method));  // throws, naming the methods there are
    }
    settings.workers = static_cast<std::size_t>(workers);
    settings.max_tasks_per_worker = static_cast<std::uint64_t>(options.max_tasks_per_worker.value());
    settings.start_method = options.start_method;
    settings.memory_limit = static_cast<std::uint64_t>(options.memory_limit.value());
    if (options.idle_timeout.count() < 0)
        throw std::invalid_argument("multiproc: .idle_timeout cannot be negative; leave it out to keep workers");
    settings.idle_timeout = options.idle_timeout;
    settings.limits_threads = options.limit_threads;
    settings.trace = std::move(options.trace);
    settings.name = std::move(options.name);
    if (!preload.attachments.empty()) {
        throw std::invalid_argument(
            "multiproc: .preload cannot have a SharedArray among its arguments, as the fork server does not get it; "
            "make "
            "it an argument of the initializer");
    }
    if (options.sandbox != Sandbox::none) check_sandbox(options, workers, initializer, finalizer);
    settings.is_sandboxed = options.sandbox != Sandbox::none;
    settings.preload = std::move(preload);
    settings.initializer = std::move(initializer);
    settings.finalizer = std::move(finalizer);
    return settings;
}

}  // namespace

Pool::Pool(PoolOptions options) {
    detail::StoredCall preload = std::move(options.preload.call_);
    detail::StoredCall initializer = std::move(options.initializer.call_);
    detail::StoredCall finalizer = std::move(options.finalizer.call_);
    engine_ = detail::EngineRef(new detail::PoolEngine(
        check(std::move(options), std::move(preload), std::move(initializer), std::move(finalizer))));
}

Pool::~Pool() { leave(); }

Pool& Pool::operator=(Pool&& other) noexcept {
    if (this != &other) {
        leave();
        engine_ = std::move(other.engine_);
    }
    return *this;
}

void Pool::leave() noexcept {
    if (!engine_) return;
    if (engine_->is_ours()) {
        const detail::EngineRef engine = std::move(engine_);
        engine->terminate();
    } else {
        // A copy that the host forked: the threads and workers belong to the original. Destroying our half would wait
        // for threads that are not here, so it is left alone.
        static_cast<void>(engine_.detach());
    }
}

detail::PoolEngine& Pool::engine() const {
    if (!engine_) throw ClosedError("multiproc: this Pool was moved from");
    return *engine_.get();
}

const CallOptions& Pool::no_options() noexcept { return of_this_program<CallOptions>(); }

PoolWith Pool::with(CallOptions options) const {
    detail::check_chunk_size(options.chunk_size);
    if (options.timeout.count() < 0)
        throw std::invalid_argument("multiproc: .timeout cannot be negative; leave it out for no limit");
    if (options.retries.value() < 0)
        throw std::invalid_argument("multiproc: .retries cannot be negative; leave it out for none");
    engine();
    return PoolWith(engine_, std::move(options));
}

void Pool::start() { engine().start(); }
void Pool::close() { engine().close(); }
void Pool::terminate() { engine().terminate(); }
void Pool::join() { engine().join(); }
std::size_t Pool::workers() const { return engine().size(); }
void Pool::resize(Count workers) {
    if (workers.value() < 1 || workers.value() > most_workers) {
        throw std::invalid_argument("multiproc: a pool cannot be resized to " + std::to_string(workers.value()) +
                                    " workers; give 1 to 1000");
    }
    engine().resize(static_cast<std::size_t>(workers.value()));
}
PoolStats Pool::stats() const { return engine().stats(); }
std::vector<std::uint32_t> Pool::worker_pids() const { return engine().worker_pids(); }

}  // namespace multiproc
