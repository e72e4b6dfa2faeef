// Where the vtables of the library's errors live, so that an error thrown in one module is caught in another.
#include <multiproc/errors.hpp>
#include <multiproc/network_errors.hpp>

#include <utility>

namespace multiproc {

Error::~Error() = default;
BootstrapError::~BootstrapError() = default;
StartError::~StartError() = default;
CodecError::~CodecError() = default;
TimeoutError::~TimeoutError() = default;
CancelledError::~CancelledError() = default;
ClosedError::~ClosedError() = default;
BrokenPool::~BrokenPool() = default;
BrokenBarrierError::~BrokenBarrierError() = default;
Interrupted::~Interrupted() = default;
NetworkError::~NetworkError() = default;
AuthenticationError::~AuthenticationError() = default;
ProtocolError::~ProtocolError() = default;
IncompleteMessage::~IncompleteMessage() = default;
RemoteError::~RemoteError() = default;

WorkerDied::WorkerDied(ExitStatus status, std::uint32_t pid, std::string task)
    : Error("multiproc: process " + std::to_string(pid) + (task.empty() ? std::string() : ", which ran " + task + ",") +
            (status.kind() == ExitStatus::Kind::signalled ? " was " : " ") + to_string(status)),
      status_(status),
      pid_(pid),
      task_(std::move(task)) {}

WorkerDied::~WorkerDied() = default;

}  // namespace multiproc
