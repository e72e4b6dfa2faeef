// What must be done for others to go on, though there may be no memory for it at the moment: a call that fails, say, whose
// caller would wait for ever otherwise.
#pragma once

#include <chrono>
#include <new>
#include <thread>

namespace multiproc {

// Does it, and again in a moment if there was no memory. If there is none for ten seconds, nothing can be told to anybody.
template <class F>
void insist(F&& what) {
    constexpr int most_tries = 10'000;
    for (int tries = 1;; ++tries) {
        try {
            return what();
        } catch (const std::bad_alloc&) {
            if (tries == most_tries) throw;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
}

}  // namespace multiproc
