// A call counts an item when its result is kept, and not before.
#include <cstring>
#include <new>
#include <vector>

#include <gtest/gtest.h>

#include "call_state.hpp"
#include "pool_engine.hpp"

namespace {

using namespace multiproc;
using namespace multiproc::detail;

TEST(UnitCallState, AMapDoesNotEndWithPartsMissingBecauseThereWasNoMemoryForThem) {
    const EngineRef engine(new PoolEngine(PoolSettings{}));
    const TaskRef task;
    CallSlab slab;
    CallState* const call = slab.allocate(*engine.get(), task);
    CallDetails& details = call->need_details();
    details.is_map = true;
    details.items = 2;
    std::vector<std::byte> kept;
    bool is_full = true;
    details.sink = [&](std::span<const std::byte> bytes, std::uint32_t) {
        if (is_full) throw std::bad_alloc();
        kept.insert(kept.end(), bytes.begin(), bytes.end());
    };
    call->complete_input();
    const std::byte bytes[4]{};
    ResultMessage message;
    message.count = 2;
    message.data = bytes;
    message.size = sizeof bytes;
    EXPECT_THROW(call->add_results(0, message), std::bad_alloc);
    EXPECT_FALSE(call->is_done());
    EXPECT_EQ(details.finished, 0u);
    is_full = false;
    call->add_results(0, message);
    EXPECT_TRUE(call->is_done());
    EXPECT_EQ(kept.size(), sizeof bytes);
    slab.recycle(call);
}

}  // namespace
