#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include <multiproc/start_method.hpp>

#include "os.hpp"

namespace multiproc {
namespace {

std::atomic<StartMethod> chosen{StartMethod::automatic};

std::string names_of_all() {
    std::string names;
    for (const StartMethod method : os::start_methods()) {
        if (!names.empty()) names += ", ";
        names += to_string(method);
    }
    return names;
}

}  // namespace

std::vector<StartMethod> get_all_start_methods() { return os::start_methods(); }

StartMethod get_start_method() {
    const StartMethod method = chosen.load(std::memory_order_relaxed);
    return method == StartMethod::automatic ? os::start_methods().front() : method;
}

void set_start_method(StartMethod method) {
    const std::vector<StartMethod> all = os::start_methods();
    if (method != StartMethod::automatic && std::ranges::find(all, method) == all.end()) {
        throw std::invalid_argument("multiproc: this platform has no start method " + std::string(to_string(method)) +
                                    "; it has: " + names_of_all());
    }
    chosen.store(method, std::memory_order_relaxed);
}

std::string_view to_string(StartMethod method) noexcept {
    switch (method) {
        case StartMethod::automatic: return "automatic";
        case StartMethod::forkserver: return "forkserver";
        case StartMethod::spawn: return "spawn";
        case StartMethod::fork: return "fork";
    }
    return "?";
}

StartMethod start_method_from(std::string_view name) {
    for (const StartMethod method : os::start_methods())
        if (name == to_string(method)) return method;
    throw std::invalid_argument("multiproc: there is no start method \"" + std::string(name) +
                                "\" here; choose one of: " + names_of_all());
}

}  // namespace multiproc
