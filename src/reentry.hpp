// The way of a process started by this library from main to what it was started for.
#pragma once

#include <string>

#include "os.hpp"

namespace multiproc {

// Throws BootstrapError, saying what to do, if this process may not start children: freeze_support() has not run.
void require_reentry();

// The program that children run; empty for this executable.
std::string child_executable();
bool has_foreign_executable();

// Where a child goes on once it has its bootstrap, however it was made.
[[noreturn]] void run_child(os::Bootstrap bootstrap);

}  // namespace multiproc
