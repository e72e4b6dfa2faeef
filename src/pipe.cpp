#include <multiproc/pipe.hpp>

#include "runtime.hpp"
#include "shared_object.hpp"

namespace multiproc {

EndOfFile::~EndOfFile() = default;

namespace detail {

PipeEnd PipeEnd::make() {
    PipeEnd end;
    end.object_ = make_object(ObjectKind::pipe_end, 0);
    return end;
}

std::uint64_t PipeEnd::name() const noexcept { return object_->ref().pack(); }
void PipeEnd::encode(OutputBuffer& out) const { encode_object(out, object_); }
PipeEnd PipeEnd::decode(InputBuffer& in) {
    PipeEnd end;
    end.object_ = decode_object(in, ObjectKind::pipe_end, 0);
    return end;
}

bool is_end_gone(std::uint64_t name) { return !Runtime::get().arena().exists(Arena::Ref::unpack(name)); }

void throw_end_of_file() {
    throw EndOfFile("multiproc: nobody has the other end of this pipe any more, and all messages were received");
}
void throw_peer_gone() { throw ClosedError("multiproc: nobody has the other end of this pipe any more"); }
void throw_connection_closed() { throw ClosedError("multiproc: this Connection is closed"); }

}  // namespace detail
}  // namespace multiproc
