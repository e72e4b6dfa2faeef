#include "killer.hpp"

#include <chrono>

#include "ledger.hpp"

namespace chaos {
namespace {

using Clock = std::chrono::steady_clock;

// What kind of process it is, as far as it shows.
Victim kind_of(const port::Member& member, const port::Family& family) {
    if (member.pid == family.pid()) return Victim::parent;
    if (ledger().is_manager(member.pid) || member.name == "Manager") return Victim::manager;
    if (member.name.starts_with("PoolWorker") || member.name.starts_with("Process") || member.name.empty())
        return Victim::worker;
    // It has the program's name: a fork server, or a child on its way.
    return member.parent == family.pid() ? Victim::server : Victim::other;
}

}  // namespace

const char* name_of(Victim victim) noexcept {
    constexpr const char* names[] = {"workers", "fork servers", "managers", "parents", "others"};
    return names[static_cast<std::size_t>(victim)];
}

Killer::Killer(port::Family& family, const Plan& plan)
    : family_(family), plan_(plan), random_(plan.seed ^ 0x1d1e), thread_([this] { run(); }) {}

void Killer::stop() {
    is_over_.store(true);
    if (thread_.joinable()) thread_.join();
}

bool Killer::is_target(Victim victim) const noexcept {
    if (victim == Victim::manager) return plan_.strikes_managers;
    if (victim == Victim::server) return plan_.strikes_servers;
    return victim != Victim::parent;
}

void Killer::run() {
    const auto is_under_fire = [this] { return !is_over_.load() && ledger().stage.load() == Ledger::running; };
    while (!is_over_.load() && ledger().stage.load() == Ledger::starting)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto begin = Clock::now();
    while (is_under_fire()) {
        if (plan_.parent_dies_after.count() != 0 && Clock::now() - begin >= plan_.parent_dies_after) {
            ledger().is_scarce.store(1);  // of whatever the first process keeps for the others
            family_.strike(family_.pid(), port::Strike::kill);
            ++kills_[static_cast<std::size_t>(Victim::parent)];
            return;
        }
        if (plan_.between_strikes.count() == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            continue;
        }
        const auto mean = static_cast<std::uint32_t>(plan_.between_strikes.count());
        std::this_thread::sleep_for(std::chrono::microseconds(random_.below(2 * mean)));
        if (is_under_fire()) strike();
    }
}

void Killer::strike() {
    std::vector<port::Member> targets;
    for (port::Member& member : family_.members())
        if (!member.is_zombie && is_target(kind_of(member, family_))) targets.push_back(std::move(member));
    if (targets.empty()) return;
    const port::Member& target = targets[random_.below(static_cast<std::uint32_t>(targets.size()))];
    if (plan_.stops && random_.one_in(2)) return interrupt(target.pid);
    ledger().note_kill(target.pid);
    family_.strike(target.pid, random_.one_in(8) ? port::Strike::terminate : port::Strike::kill);
    ++kills_[static_cast<std::size_t>(kind_of(target, family_))];
}

// Stops it for a while, after which it goes on, whatever happens here.
void Killer::interrupt(std::uint32_t pid) {
    family_.strike(pid, port::Strike::stop);
    ++stops_;
    std::this_thread::sleep_for(std::chrono::microseconds(1u << random_.between(4, 17)));
    family_.strike(pid, port::Strike::go_on);
}

}  // namespace chaos
