#include "driver.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "killer.hpp"
#include "ledger.hpp"
#include "plan.hpp"
#include "port.hpp"
#include "random.hpp"
#include "support/temporary.hpp"
#include "totals.hpp"

namespace chaos {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr const char* usage =
    "usage: multiproc_chaos drive [--minutes N] [--rounds N] [--seed N] [--scenario NAME] [--deadline SECONDS] "
    "[--quiet]\n";

struct Options {
    double minutes = 2;
    std::uint64_t rounds = UINT64_MAX;
    std::uint64_t seed = 1;
    std::string scenario;
    std::chrono::seconds deadline = 90s;
    bool quiet = false;
};

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 0; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--quiet") {
            options.quiet = true;
            continue;
        }
        if (i + 1 == argc) throw std::invalid_argument(usage);
        const char* const value = argv[++i];
        if (name == "--minutes")
            options.minutes = std::strtod(value, nullptr);
        else if (name == "--rounds")
            options.rounds = std::strtoull(value, nullptr, 10);
        else if (name == "--seed")
            options.seed = std::strtoull(value, nullptr, 10);
        else if (name == "--scenario")
            options.scenario = value;
        else if (name == "--deadline")
            options.deadline = std::chrono::seconds(std::strtoll(value, nullptr, 10));
        else
            throw std::invalid_argument(usage);
    }
    return options;
}

// Waits for the first process until the deadline. Nothing if it is still there then.
std::optional<multiproc::ExitStatus> await_end(port::Family& family, Clock::time_point deadline) {
    multiproc::ExitStatus status;
    while (!family.has_ended(status)) {
        if (Clock::now() > deadline) return std::nullopt;
        std::this_thread::sleep_for(2ms);
    }
    return status;
}

void check_end(const multiproc::ExitStatus& status, bool was_killed) {
    if (was_killed || status.success()) return;
    ledger().fail(Failure::wrong, 1, "the program %s", to_string(status).c_str());
}

// Nobody survives the first process by more than a moment.
void check_survivors(port::Family& family) {
    const auto give_up = Clock::now() + 10s;
    std::vector<port::Member> members = family.members();
    const auto are_left = [&members] {
        return std::any_of(members.begin(), members.end(),
                           [](const port::Member& member) { return !member.is_zombie; });
    };
    while (are_left() && Clock::now() < give_up) {
        std::this_thread::sleep_for(5ms);
        members = family.members();
    }
    for (const port::Member& member : members)
        if (!member.is_zombie)
            ledger().fail(Failure::left_behind, 1, "process %u (%s), child of %u, survived the program", member.pid,
                          member.name.c_str(), member.parent);
}

class Round {
public:
    Round(const Options& options, std::uint64_t seed)
        : options_(options), seed_(seed), plan_(plan_of(seed, options.scenario)) {
        // The family's first process could not tell: it has another user.
        if (!port::can_limit_processes()) plan_.processes = 0;
    }

    // Whether all went well.
    bool run(Totals& totals) {
        ledger().reset();
        const multiproc::test::TemporaryDirectory directory;
        const auto names = port::shared_names();
        const auto family = port::Family::start(
            {{std::to_string(seed_), options_.scenario}, directory.path().string(), errors_.get(), plan_.processes});
        Killer killer(*family, plan_);
        const auto status = await_end(*family, Clock::now() + options_.deadline);
        killer.stop();
        std::string dump;
        if (status) {
            check_end(*status, killer.kills()[static_cast<std::size_t>(Victim::parent)] != 0);
            check_survivors(*family);
        } else {
            dump = family->dump();
            ledger().fail(Failure::hung, 1, "not over after %lld s", static_cast<long long>(options_.deadline.count()));
        }
        family->end();
        ledger().fail(Failure::twice, ledger().marks_too_often(), "operations were done more often than asked for");
        for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
            ledger().fail(Failure::left_behind, 1, "the file %s", entry.path().filename().string().c_str());
        const auto more = port::shared_names();
        if (more.size() > names.size())
            ledger().fail(Failure::left_behind, 1, "shared memory with a name: %s", more.back().c_str());
        totals.add(killer);
        totals.add(ledger());
        return report(dump);
    }

private:
    bool report(const std::string& dump) const {
        bool is_clean = true;
        for (std::size_t i = 0; i < failure_kinds; ++i)
            is_clean = is_clean && ledger().failed(static_cast<Failure>(i)) == 0;
        if (is_clean && options_.quiet) return true;
        std::printf("%s seed %llu, %s\n", is_clean ? "  " : "!!", static_cast<unsigned long long>(seed_),
                    describe(plan_).c_str());
        if (is_clean) return true;
        for (std::size_t i = 0; i < failure_kinds; ++i)
            if (const auto count = ledger().failed(static_cast<Failure>(i)))
                std::printf("    %s: %llu\n", name_of(static_cast<Failure>(i)), static_cast<unsigned long long>(count));
        std::printf("%s%s\n    again: scripts/chaos --rounds 1 --seed %llu%s\n", (ledger().texts() + dump).c_str(),
                    errors().c_str(), static_cast<unsigned long long>(seed_),
                    options_.scenario.empty() ? "" : (" --scenario " + options_.scenario).c_str());
        return false;
    }

    // The last of what the family wrote to standard error.
    std::string errors() const {
        constexpr long most = 4000;
        std::fseek(errors_.get(), 0, SEEK_END);
        const long size = std::ftell(errors_.get()), begin = std::max(0L, size - most);
        std::string text(static_cast<std::size_t>(size - begin), '\0');
        std::fseek(errors_.get(), begin, SEEK_SET);
        text.resize(std::fread(text.data(), 1, text.size(), errors_.get()));
        return text;
    }

    const Options& options_;
    std::uint64_t seed_;
    Plan plan_;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> errors_{std::tmpfile(), std::fclose};
};

}  // namespace

int run_driver(int argc, char** argv) {
    const Options options = parse(argc, argv);
    create_ledger();
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
    Totals totals;
    const auto end =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.minutes * 60));
    for (std::uint64_t i = 0; i < options.rounds && Clock::now() < end; ++i)
        Round(options, seed_of_round(options.seed, i)).run(totals);
    totals.print();
    remove_ledger();
    return totals.is_clean() ? 0 : 1;
}

}  // namespace chaos
