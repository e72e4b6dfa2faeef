// What runs at the end of a program.
#pragma once

#include "os.hpp"

namespace multiproc {

// As std::atexit, but with the exit handlers of the module that called freeze_support(), usually the executable: those
// of a Windows DLL run when the system has ended all other threads of the process already.
void add_exit_handler(void (*handler)());

// Calls `Function` when main returns or exit() is called, before the destructors of static objects made earlier. Not
// where it is too late to wait for anybody: in a program that does not call freeze_support(), on Windows.
template <void (*Function)() noexcept>
void at_program_exit() {
    add_exit_handler([] {
        if (!os::are_threads_ended()) Function();
    });
}

}  // namespace multiproc
