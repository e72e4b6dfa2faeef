// How two programs that have just been connected find out whether they speak the same language and have the same key.
//
//     listener → client   Hello         who we are, a random number
//     client → listener   Hello, proof  the same, and HMAC(key, "client", both hellos)
//     listener → client   Verdict       yes or why not, and if yes HMAC(key, "listener", both hellos)
//
// All of fixed sizes, so a stranger cannot make us read more than that. The listener proves its key only to a client
// that has proven its own, so a stranger learns nothing to guess at. Both random numbers are in both proofs, so none
// can be used again; and the proofs differ by who gives them, so that sending a listener's own back to it is of no use.
// The keys that sign the messages come from the same numbers; there is one for each direction.
#pragma once

#include <cstddef>

#include "byte_stream.hpp"
#include "crypto.hpp"
#include "os.hpp"

namespace multiproc::network {

inline constexpr std::size_t hello_size = 64;
inline constexpr std::size_t proof_size = digest_size;
inline constexpr std::size_t verdict_size = 8 + proof_size;

struct SessionKeys {
    Digest to_send;
    Digest to_receive;
};

// Both throw AuthenticationError, ProtocolError, TimeoutError at the deadline, NetworkError when the peer leaves, and
// ClosedError when another thread closes the stream.
SessionKeys shake_hands_as_listener(ByteStream& stream, Bytes key, os::Deadline deadline);
SessionKeys shake_hands_as_client(ByteStream& stream, Bytes key, os::Deadline deadline);

}  // namespace multiproc::network
