// Who this process is.
#pragma once

#include <multiproc/worker.hpp>

namespace multiproc {

// Called once in a child, before user code.
void set_process_info(ProcessInfo self, ProcessInfo parent);

// Runs what at_worker_exit registered, the last first.
void run_worker_exit_functions() noexcept;

}  // namespace multiproc
