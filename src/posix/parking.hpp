// What tests of parking may change.
#pragma once

namespace multiproc::os::posix {

// Makes the portable way poll although the system can wait for a word, as on a macOS before 14.4. For tests only; call
// it while nobody is parked.
void poll_while_parked(bool poll) noexcept;
// Whether threads sleep in the kernel until they are woken.
bool parks_in_kernel() noexcept;

}  // namespace multiproc::os::posix
