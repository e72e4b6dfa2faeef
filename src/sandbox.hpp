// Sandboxed workers, on both sides: who may have one, and from when on a worker is in it.
//
// Such a worker gets nothing at its start that leads to other processes but its own channel (see Child), and gives up the
// rest as the last step of its first call, which is always the pool's set-up (see preload.hpp). Until that has succeeded it
// runs nothing else: a sandbox that could not be closed fails the pool, never its secrecy.
#pragma once

#include <cstdint>

#include <multiproc/sandbox.hpp>
#include <multiproc/start_method.hpp>

namespace multiproc {

// Parent: throws StartError if no sandboxed child can be started here, or not by this method.
void require_sandbox(StartMethod method);

// Child, before anything of the user's runs: it is one that works in a sandbox. The slots are those of its channel.
void expect_sandbox(std::uint32_t child_slot, std::uint32_t waiter_slot, std::uint32_t service_slot) noexcept;
// Whether this is such a child.
bool is_confined() noexcept;
// Child: from now on it is in. Does nothing in any other process. Throws std::system_error.
void close_sandbox();
// Throws StartError in a child that is to be in a sandbox and is not.
void require_closed_sandbox();

}  // namespace multiproc
