// Calls to a manager's server, from any thread of any process.
#pragma once

#include <memory>

#include <multiproc/proxy.hpp>

#include "manager_protocol.hpp"

namespace multiproc {

// Sends a call over this thread's session with the server, which is opened at the first one, and waits for the answer.
// Throws ClosedError if the server is gone.
void exchange_with(const ManagerAddress& manager, const OutputBuffer& call, detail::QueueMessage& answer);

// Drops this thread's sessions with servers that have ended: there is nothing more to come from them, and what they have in
// the memory that all share would stay until this thread calls another manager, or ends.
void forget_ended_sessions() noexcept;

// A proxy's target, by the object that stands for it in the arena.
std::shared_ptr<const detail::ProxyTarget> make_target(detail::ObjectRef object);

}  // namespace multiproc
