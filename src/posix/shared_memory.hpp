// What tests of shared memory must know about this system.
#pragma once

namespace multiproc::os::posix {

// Whether a segment's creator is kept from cutting it shorter.
bool segments_are_sealed() noexcept;

}  // namespace multiproc::os::posix
