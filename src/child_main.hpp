// What a child does once it is set up: a Process runs its one task, a pool worker runs tasks until it is told to stop.
#pragma once

#include <memory>

#include "channel.hpp"
#include "os.hpp"

namespace multiproc {

// The child's end of everything it shares with its parent.
struct ChildEnd {
    Channel channel;
    std::unique_ptr<os::HandleLink> link;
    os::Segment doorbell;  // pool workers only
};

[[noreturn]] void run_child_main(ChildEnd end, const StartInfo& info);

}  // namespace multiproc
