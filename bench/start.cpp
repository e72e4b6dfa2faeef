// Starting processes and pools.
#include "start.hpp"

#include <spawn.h>

#include <cstring>
#include <memory>

#include <multiproc/multiproc.hpp>

#include "rows.hpp"
#include "support.hpp"

namespace bench {
namespace {

using multiproc::StartMethod;

constexpr std::size_t starts = 25;
constexpr std::size_t resident_bytes = std::size_t{1} << 30;
constexpr std::size_t pool_workers = 8;
constexpr std::size_t pool_starts = 5;

void nothing() {}

void start_and_join(StartMethod method) {
    multiproc::Process process(multiproc::ProcessOptions{.start_method = method}, nothing);
    process.start();
    process.join();
}

double time_of_start(StartMethod method) {
    return median_of(starts, [&] {
        const Stopwatch watch;
        start_and_join(method);
        return watch.seconds();
    });
}

double time_of_bare_fork() {
    return median_of(starts, [&] {
        const Stopwatch watch;
        Child([] {}).join();
        return watch.seconds();
    });
}

/// `resident`: memory that this process has touched, whose page tables a fork has to copy.
class ForkServerStart : public Pair {
public:
    explicit ForkServerStart(std::size_t resident) : memory_(new char[resident]) {
        std::memset(memory_.get(), 1, resident);
        start_and_join(StartMethod::forkserver);
    }
    double ours() override { return time_of_start(StartMethod::forkserver); }
    double peer() override { return time_of_bare_fork(); }

private:
    std::unique_ptr<char[]> memory_;
};

class SpawnStart : public Pair {
public:
    double ours() override { return time_of_start(StartMethod::spawn); }

    double peer() override {
        const std::string variable = std::string(do_nothing_variable) + "=1";
        char name[] = "multiproc_bench";
        char* const arguments[] = {name, nullptr};
        char* const environment[] = {const_cast<char*>(variable.c_str()), nullptr};
        return median_of(starts, [&] {
            const Stopwatch watch;
            pid_t pid = 0;
            const int error = ::posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments, environment);
            if (error != 0) throw std::system_error(error, std::generic_category(), "posix_spawn");
            int status = 0;
            if (::waitpid(pid, &status, 0) < 0) throw_errno("waitpid");
            if (status != 0) throw std::runtime_error("the child that does nothing failed");
            return watch.seconds();
        });
    }
};

class PoolStart : public Pair {
public:
    PoolStart() { start_and_join(StartMethod::forkserver); }

    double ours() override {
        return median_of(pool_starts, [] {
            const Stopwatch watch;
            multiproc::Pool pool({.workers = pool_workers, .start_method = StartMethod::forkserver});
            pool.apply(nothing);
            return watch.seconds();
        });
    }

    double peer() override {
        return median_of(pool_starts, [] {
            const Stopwatch watch;
            std::vector<Child> children;
            children.reserve(pool_workers);
            for (std::size_t i = 0; i < pool_workers; ++i) children.emplace_back([] {});
            for (Child& child : children) child.join();
            return watch.seconds();
        });
    }
};

}  // namespace

void add_start_rows(std::vector<Row>& rows, const Settings&) {
    rows.push_back({.name = "start/forkserver",
                    .what = "start and join a process, fork server running",
                    .peer = "bare fork, _exit, waitpid",
                    .target = 1.5,
                    .operations = starts,
                    .open = [] { return std::make_unique<ForkServerStart>(1); }});
    rows.push_back({.name = "start/forkserver_1GiB",
                    .what = "the same with 1 GiB resident in the parent",
                    .peer = "bare fork from that parent",
                    .target = 0.2,
                    .operations = starts,
                    .open = [] { return std::make_unique<ForkServerStart>(resident_bytes); }});
    rows.push_back({.name = "start/spawn",
                    .what = "start and join a process by spawn",
                    .peer = "bare posix_spawn of the same file, doing nothing",
                    .target = 1.2,
                    .operations = starts,
                    .open = [] { return std::make_unique<SpawnStart>(); }});
    rows.push_back({.name = "start/pool",
                    .what = "pool of 8 to its first result, fork server running",
                    .peer = "8 bare forks, _exit, waitpid",
                    .target = 2,
                    .operations = pool_starts,
                    .open = [] { return std::make_unique<PoolStart>(); }});
}

}  // namespace bench
