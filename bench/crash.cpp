// How soon the caller learns that a worker died.

#include <fcntl.h>

#include <memory>
#include <thread>

#include <multiproc/multiproc.hpp>

#include "rows.hpp"
#include "support.hpp"

namespace bench {
namespace {

constexpr std::size_t crashes = 25;

/// Kills this process, after writing the time at which it did into `file`. It waits until the parent sleeps.
void die(int file) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const double moment = now();
    if (::pwrite(file, &moment, sizeof moment, 0) == sizeof moment) ::raise(SIGKILL);
    ::_exit(1);
}

void open_and_die(const std::string& path) { die(::open(path.c_str(), O_WRONLY | O_CLOEXEC)); }

void nothing() {}

class Crash : public Pair {
public:
    explicit Crash(std::size_t workers) : pool_(workers), file_(::memfd_create("moment", MFD_CLOEXEC)) {
        if (file_ < 0) throw_errno("memfd_create");
        path_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_);
    }
    ~Crash() override { ::close(file_); }

    double ours() override {
        return median_of(crashes, [&] {
            wait_for_all_workers();
            try {
                pool_.apply(open_and_die, path_);
            } catch (const multiproc::WorkerDied&) { return now() - moment_of_death(); }
            throw std::runtime_error("the worker did not die");
        });
    }

    double peer() override {
        return median_of(crashes, [&] {
            Child child([&] { die(file_); });
            const int status = child.join();
            const double seconds = now() - moment_of_death();
            if (!WIFSIGNALED(status)) throw std::runtime_error("the child did not die");
            return seconds;
        });
    }

private:
    /// The replacement of the one that died before starts now, not while something is measured.
    void wait_for_all_workers() {
        while (pool_.worker_pids().size() < pool_.workers()) pool_.apply(nothing);
        for (const std::uint32_t pid : pool_.worker_pids()) wait_until_asleep({static_cast<pid_t>(pid)}, 0);
    }

    double moment_of_death() const {
        double moment = 0;
        if (::pread(file_, &moment, sizeof moment, 0) != sizeof moment) throw_errno("pread");
        return moment;
    }

    multiproc::Pool pool_;
    int file_;
    std::string path_;
};

}  // namespace

void add_crash_rows(std::vector<Row>& rows, const Settings& settings) {
    rows.push_back({.name = "crash",
                    .what = "crash of a worker to WorkerDied in the caller",
                    .peer = "waitpid seeing the exit",
                    .target = 2,
                    .operations = crashes,
                    .open = [=] { return std::make_unique<Crash>(settings.workers); }});
}

}  // namespace bench
