// What workers have in their memory before they do anything: a call that the fork server runs once, before it forks the
// first worker that wants it, so that all its later copies share what it has loaded; and that every other worker runs
// itself.
//
// Both are the same function, which does nothing where the same call ran before: a worker forked by a server that ran it
// finds it done. So it does not matter who ran it, and one that failed in the server fails in the worker, which has a
// way to tell.
#pragma once

#include <string>

#include <multiproc/detail/pool_client.hpp>

namespace multiproc {

// The call as a message that any process of this program can run. Throws BootstrapError for a task that others cannot
// find.
std::string encode_preload(const detail::StoredCall& call);

// Runs such a call, unless this process or the server it is a copy of has. Throws what the call throws.
void preload_once(const std::string& message);

// The same in a fork server, where nobody can be told of an error.
void preload_in_server(const std::string& message) noexcept;

// The first call of a worker: it preloads and then runs the initializer, if there are such; and then, if it is one that
// works in a sandbox, that is closed.
detail::StoredCall set_up_call(const std::string& preload, const detail::StoredCall& initializer);

}  // namespace multiproc
