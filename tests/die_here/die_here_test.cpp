// Somebody dies at each point of src/death_points.hpp, and the others go on.
//
// The cases are made of the list, so a point that is added is tested, in each scenario of its row, at the first, the
// second and a later visit. A case fails if nobody came to the point. docs/die-here.md tells more.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "os.hpp"
#include "plan.hpp"
#include "runtime.hpp"
#include "support/each_start_method.hpp"
#include "support/temporary.hpp"

namespace multiproc::test {
namespace {

struct Case {
    const char* name;
    DeathPoint point;
    DeathPlace place;
    DeathScenario scenario;
    std::uint32_t nth;
};

std::ostream& operator<<(std::ostream& out, const Case& given) { return out << given.name << ' ' << given.nth; }

const char* name_of(DeathScenario scenario) {
    switch (scenario) {
        case DeathScenario::makes_objects: return "makes_objects";
        case DeathScenario::is_one_of_many: return "is_one_of_many";
        case DeathScenario::buries: return "buries";
        case DeathScenario::puts: return "puts";
        case DeathScenario::gets: return "gets";
        case DeathScenario::inherits_queue: return "inherits_queue";
        case DeathScenario::locks: return "locks";
        case DeathScenario::inherits_lock: return "inherits_lock";
        case DeathScenario::waits: return "waits";
        case DeathScenario::wakes: return "wakes";
        case DeathScenario::meets: return "meets";
        case DeathScenario::works: return "works";
        case DeathScenario::owns_pool: return "owns_pool";
        case DeathScenario::is_started: return "is_started";
        case DeathScenario::starts: return "starts";
        case DeathScenario::is_fork_server: return "is_fork_server";
        case DeathScenario::calls_manager: return "calls_manager";
        case DeathScenario::serves_as_manager: return "serves_as_manager";
    }
    return "";
}

void run(DeathScenario scenario, Plan plan) {
    switch (scenario) {
        case DeathScenario::makes_objects: return test_makes_objects(plan);
        case DeathScenario::is_one_of_many: return test_is_one_of_many(plan);
        case DeathScenario::buries: return test_buries(plan);
        case DeathScenario::puts: return test_puts(plan);
        case DeathScenario::gets: return test_gets(plan);
        case DeathScenario::inherits_queue: return test_inherits_queue(plan);
        case DeathScenario::locks: return test_locks(plan);
        case DeathScenario::inherits_lock: return test_inherits_lock(plan);
        case DeathScenario::waits: return test_waits(plan);
        case DeathScenario::wakes: return test_wakes(plan);
        case DeathScenario::meets: return test_meets(plan);
        case DeathScenario::works: return test_works(plan);
        case DeathScenario::owns_pool: return test_owns_pool(plan);
        case DeathScenario::is_started: return test_is_started(plan);
        case DeathScenario::starts: return test_starts(plan);
        case DeathScenario::is_fork_server: return test_is_fork_server(plan);
        case DeathScenario::calls_manager: return test_calls_manager(plan);
        case DeathScenario::serves_as_manager: return test_serves_as_manager(plan);
    }
}

bool is_come_to(DeathPlace place) {
    const StartMethod given = method_under_test();
    const StartMethod method = given == StartMethod::automatic ? os::start_methods().front() : given;
    const bool is_posix = os::start_methods().size() > 1;
    switch (place) {
        case DeathPlace::anywhere: return true;
        case DeathPlace::posix: return is_posix;
        case DeathPlace::windows: return !is_posix;
        case DeathPlace::forkserver: return method == StartMethod::forkserver;
        case DeathPlace::posix_spawn: return is_posix && method == StartMethod::spawn;
        case DeathPlace::fork: return method == StartMethod::fork;
    }
    return false;
}

constexpr std::uint32_t visits[] = {1, 2, 5};

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    const auto add = [&](const char* name, DeathPoint point, DeathPlace place, std::vector<DeathScenario> scenarios) {
        if (!is_come_to(place)) return;
        for (const DeathScenario scenario : scenarios)
            for (const std::uint32_t nth : visits) cases.push_back({name, point, place, scenario, nth});
    };
    using enum DeathPlace;
    using enum DeathScenario;
#define MULTIPROC_POINT(name, place, ...) add(#name, DeathPoint::name, place, {__VA_ARGS__});
    MULTIPROC_DEATH_POINTS(MULTIPROC_POINT)
#undef MULTIPROC_POINT
    return cases;
}

// The file with the plans, made by the first process of the test before anything is started: every other one finds its
// name in the environment that it was started with, the fork server as well.
class PlanFile {
public:
    PlanFile() {
        if (std::getenv(death::file_variable) != nullptr) return;  // NOLINT(concurrency-mt-unsafe)
        folder_.emplace();
        const std::string file = folder_->file("plans");
        std::ofstream(file, std::ios::binary) << std::string(death::file_size(), '\0');
        os::set_variable(death::file_variable, file);
    }

private:
    std::optional<TemporaryDirectory> folder_;
};
const PlanFile plan_file;

// What all processes share, as it must be again when the dead were buried.
struct Shared {
    std::size_t objects = Runtime::get().arena().object_count();
    std::size_t processes = Runtime::get().process_count();
    std::size_t slots = Runtime::get().slot_count();

    bool is_at_most(const Shared& other) const {
        return objects <= other.objects && processes <= other.processes && slots <= other.slots;
    }
};
std::ostream& operator<<(std::ostream& out, const Shared& shared) {
    return out << shared.objects << " objects, " << shared.processes << " processes, " << shared.slots << " slots";
}

class DieHere : public EachStartMethod, public testing::WithParamInterface<Case> {
protected:
    void SetUp() override {
        EachStartMethod::SetUp();
        allow(2, 24);  // a server or two that take the place of one that died
        allow_sleepers(16);
        const Event event;  // this thread has slept once
        event.wait(1ms);
        Runtime::get().sweep();
        before_.emplace();
    }
    void TearDown() override {
        death::want_nothing();
        const auto is_clean = [this] {
            Runtime::get().sweep();
            return Shared().is_at_most(*before_);
        };
        EXPECT_TRUE(holds_soon(is_clean)) << "left: " << Shared() << "; before: " << *before_;
        EachStartMethod::TearDown();
    }

private:
    std::optional<Shared> before_;
};

TEST_P(DieHere, and_the_others_go_on) {
    const Case& given = GetParam();
    run(given.scenario, {static_cast<std::uint16_t>(given.point), given.nth});
    EXPECT_TRUE(has_died()) << "nobody came to " << given.name;
}

INSTANTIATE_TEST_SUITE_P(At, DieHere, testing::ValuesIn(all_cases()), [](const auto& test) {
    return std::string(test.param.name) + "_who_" + name_of(test.param.scenario) + "_" + std::to_string(test.param.nth);
});

}  // namespace
}  // namespace multiproc::test
