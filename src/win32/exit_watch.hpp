// Learning of the end of any number of processes.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "win32/api.hpp"

namespace multiproc::os {

// One process whose end is to be awaited. All that can fail is done by the constructor, before the process is started.
class ExitWatch {
public:
    struct State;

    // `on_exit` will be called once, from a thread of the library.
    explicit ExitWatch(std::function<void(ExitStatus)> on_exit);
    ExitWatch(const ExitWatch&) = delete;
    ExitWatch& operator=(const ExitWatch&) = delete;
    ~ExitWatch();

    // Watches `process` from now on until its end, also when this object is destroyed. To be called once.
    void start(std::shared_ptr<const Handle> process) noexcept;

private:
    std::unique_ptr<State> state_;
    std::set<State*>::node_type entry_;  // made ahead, so that `start` allocates nothing
};

}  // namespace multiproc::os
