// Whether it is worth looking for news for a while before sleeping.
//
// Who looks answers sooner than who must be woken, if the other side runs on another processor and answers soon. It may
// as well wait for this very processor, where it comes to run when we sleep, or be busy with something long. Nobody can
// ask for that, so experience decides: one goes on looking as long as the last look found something, and tries again now
// and then. To give the processor up by a yield instead is no way out: on a busy machine it is gone for milliseconds then.
#pragma once

#include <cstdint>

namespace multiproc {

class Patience {
public:
    bool wants_to_look() noexcept { return is_worth_it_ || ++passed_ % trial_interval == 0; }
    void learn(bool found) noexcept { is_worth_it_ = found; }

private:
    static constexpr std::uint32_t trial_interval = 16;

    bool is_worth_it_ = true;
    std::uint32_t passed_ = 0;
};

}  // namespace multiproc
