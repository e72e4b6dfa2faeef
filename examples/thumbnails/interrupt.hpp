// Ctrl+C asks the program to end; the program ends when it has tidied up.
#pragma once

namespace thumbnails {

/// From now on Ctrl+C is remembered. A second Ctrl+C ends the program at once.
void watch_for_interrupt();

/// True once the user pressed Ctrl+C.
bool interrupted() noexcept;

}  // namespace thumbnails
