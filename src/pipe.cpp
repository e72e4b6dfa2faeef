#include <multiproc/pipe.hpp>

#include "die_here.hpp"
#include "queue_state.hpp"
#include "runtime.hpp"
#include "shared_object.hpp"

namespace multiproc {

EndOfFile::~EndOfFile() = default;

namespace detail {

// As long as it is there, so is what the end is told by: when nobody holds the end any more, who waits at the other one is
// woken. (If that goes with a process, they see it when they look again, after `WaitSet::longest_wait` at most.)
struct PipeEnd::Held {
    Held(ObjectRef its_object, ObjectRef its_lane) : object(std::move(its_object)), lane(std::move(its_lane)) {}
    ~Held() {
        const bool is_ours = object->is_ours();
        const Arena::Ref ref = object->ref();
        object.reset();
        die_here(DeathPoint::pipe_end_dropped);
        if (is_ours && !Runtime::get().arena().exists(ref)) queue_in(lane->data()).getters.wake_all();
    }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    ObjectRef object;
    const ObjectRef lane;
};

PipeEnd PipeEnd::make(const SharedHandle& lane) {
    PipeEnd end;
    end.held_ = std::make_shared<const Held>(make_object(ObjectKind::pipe_end, 0), HandleAccess::object(lane));
    return end;
}

std::uint64_t PipeEnd::name() const noexcept { return held_->object->ref().pack(); }
void PipeEnd::encode(OutputBuffer& out) const { encode_object(out, held_->object); }
PipeEnd PipeEnd::decode(InputBuffer& in, const SharedHandle& lane) {
    PipeEnd end;
    end.held_ = std::make_shared<const Held>(decode_object(in, ObjectKind::pipe_end, 0), HandleAccess::object(lane));
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
