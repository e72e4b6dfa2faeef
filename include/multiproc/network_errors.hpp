/// @file
/// What goes wrong between machines; see network.hpp. The types are the core library's, so that they travel from
/// workers as all its errors do.
#pragma once

#include <multiproc/config.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/pipe.hpp>

namespace multiproc {

/// The network refused: an address that cannot be had or reached, or a peer that left during the handshake.
class MULTIPROC_API NetworkError : public Error {
public:
    using Error::Error;
    ~NetworkError() override;
};

/// One side does not have the other's key. Source: Python's `multiprocessing.AuthenticationError`.
class MULTIPROC_API AuthenticationError : public NetworkError {
public:
    using NetworkError::NetworkError;
    ~AuthenticationError() override;
};

/// What came is not what this library sends: another program is there, or a machine with other types, a message is
/// longer than the limit, or somebody on the way has changed it.
class MULTIPROC_API ProtocolError : public NetworkError {
public:
    using NetworkError::NetworkError;
    ~ProtocolError() override;
};

/// The connection ended in the middle of a message.
class MULTIPROC_API IncompleteMessage : public EndOfFile {
public:
    using EndOfFile::EndOfFile;
    ~IncompleteMessage() override;
};

}  // namespace multiproc
