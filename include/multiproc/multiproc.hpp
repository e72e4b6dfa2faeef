/// @file
/// The whole library: processes and pools that run C++ functions, with typed results.
///
/// ```cpp
/// #include <multiproc/multiproc.hpp>
///
/// std::string task(int id) { return std::to_string(id); }
///
/// int main() {
///     multiproc::freeze_support();                 // first line: children enter the program here
///     multiproc::Pool pool;
///     for (const std::string& s : pool.map(task, std::views::iota(0, 10))) std::puts(s.c_str());
/// }
/// ```
#pragma once

#include <multiproc/any.hpp>
#include <multiproc/async_result.hpp>
#include <multiproc/barrier.hpp>
#include <multiproc/codec.hpp>
#include <multiproc/completion.hpp>
#include <multiproc/condition.hpp>
#include <multiproc/config.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/event.hpp>
#include <multiproc/exit_status.hpp>
#include <multiproc/freeze_support.hpp>
#include <multiproc/imap.hpp>
#include <multiproc/interrupt.hpp>
#include <multiproc/lock.hpp>
#include <multiproc/manager.hpp>
#include <multiproc/partial.hpp>
#include <multiproc/pipe.hpp>
#include <multiproc/pool.hpp>
#include <multiproc/process.hpp>
#include <multiproc/proxy.hpp>
#include <multiproc/queue.hpp>
#include <multiproc/remote_error.hpp>
#include <multiproc/sandbox.hpp>
#include <multiproc/semaphore.hpp>
#include <multiproc/shared_array.hpp>
#include <multiproc/shared_memory.hpp>
#include <multiproc/start_method.hpp>
#include <multiproc/timeout.hpp>
#include <multiproc/value.hpp>
#include <multiproc/wait.hpp>
#include <multiproc/worker.hpp>
