// What a ManagerService is asked over a connection, and what it answers: a value or a CodecError.
#include "network/manager_wire.hpp"
#include "target.hpp"

namespace {

using namespace multiproc::fuzz;
using multiproc::network::Question;
using multiproc::network::Reply;

template <class T>
void run_as(Bytes bytes) {
    try {
        multiproc::InputBuffer in(bytes);
        const T value = multiproc::decode<T>(in);
        const ByteVector again = encoded(value);
        require(again.size() == bytes.size() - in.remaining(), "a message has one form");
    } catch (const multiproc::CodecError&) {}
}

void run(Bytes bytes) {
    run_as<Question>(bytes);
    run_as<Reply>(bytes);
}

Seeds seeds() {
    return {{"hello", encoded(Question{.client = {1, 2}})},
            {"get", encoded(Question{.kind = Question::Kind::get, .name = "jobs", .type = "list<int>"})},
            {"call", encoded(Question{.kind = Question::Kind::call, .object = 7, .call = ByteVector(12)})},
            {"release", encoded(Question{.kind = Question::Kind::release, .object = 7, .times = 3})},
            {"reply", encoded(Reply{{1, 2}, ByteVector(5)})}};
}

const Target target("network_wire", &run, &seeds);

}  // namespace
