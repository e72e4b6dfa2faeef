// Messages of queues and connections that refer to what lies in shared memory: by a name a message reaches an object of
// the kind that is expected, or nothing; and what it reaches can be used.
//
// The first byte chooses the type that is expected, the second the object whose name stands first: beyond those that
// there are, the name is part of the bytes.
#include <system_error>

#include <multiproc/multiproc.hpp>

#include "target.hpp"

namespace {

namespace mp = multiproc;
using namespace multiproc::fuzz;

struct Objects {
    mp::Queue<int> queue;
    mp::SimpleQueue<std::string> simple;
    mp::JoinableQueue<int> joinable;
    mp::Lock lock;
    mp::RLock rlock;
    mp::Semaphore semaphore{1};
    mp::Event event;
    mp::Condition condition;
    mp::Barrier barrier{2};
    mp::Value<int> value{1};
    mp::Array<double> array{4};
    mp::SharedArray<double> shared{16};
    std::pair<mp::Connection<int, std::string>, mp::Connection<std::string, int>> pipe = mp::pipe<int, std::string>();

    // What each of them is in a message.
    std::vector<ByteVector> messages{encoded(queue),      encoded(simple),
                                     encoded(joinable),   encoded(lock),
                                     encoded(rlock),      encoded(semaphore),
                                     encoded(event),      encoded(condition),
                                     encoded(barrier),    encoded(value),
                                     encoded(array),      encoded(shared),
                                     encoded(pipe.first), encoded(std::vector{shared.slice(4, 8), shared})};
};
Objects& objects() {
    static Objects& all = *new Objects;
    return all;
}

template <class T, class Use>
void decode_as(Bytes bytes, Use use) {
    mp::InputBuffer in(bytes);
    T value = mp::decode<T>(in);
    const ByteVector again = encoded(value);
    use(value);
    mp::InputBuffer second(again);
    (void)mp::decode<T>(second);
}
constexpr auto nothing = [](const auto&) {};

void decode_kind(std::size_t kind, Bytes bytes) {
    switch (kind % 14) {
        case 0: return decode_as<mp::Queue<int>>(bytes, [](const auto& queue) { (void)queue.empty(); });
        case 1: return decode_as<mp::SimpleQueue<std::string>>(bytes, [](const auto& queue) { (void)queue.empty(); });
        case 2: return decode_as<mp::JoinableQueue<int>>(bytes, [](const auto& queue) { (void)queue.empty(); });
        case 3: return decode_as<mp::Lock>(bytes, nothing);
        case 4: return decode_as<mp::RLock>(bytes, nothing);
        case 5: return decode_as<mp::Semaphore>(bytes, nothing);
        case 6: return decode_as<mp::Event>(bytes, [](const auto& event) { (void)event.is_set(); });
        case 7: return decode_as<mp::Condition>(bytes, nothing);
        case 8: return decode_as<mp::Barrier>(bytes, [](const auto& barrier) { (void)barrier.n_waiting(); });
        case 9: return decode_as<mp::Value<int>>(bytes, nothing);
        case 10: return decode_as<mp::Array<double>>(bytes, nothing);
        case 11:
            return decode_as<mp::SharedArray<double>>(bytes, [](const auto& array) {
                double sum = 0;
                for (const double element : array) sum += element;
                require(sum == 0, "a slice lies in its array");
            });
        case 12: return decode_as<mp::Connection<int, std::string>>(bytes, nothing);
        default: return decode_as<std::vector<mp::SharedArray<double>>>(bytes, nothing);
    }
}

void run(Bytes bytes) {
    const std::vector<ByteVector>& messages = objects().messages;
    Cursor cursor(bytes);
    const std::size_t kind = cursor.take<unsigned char>();
    const std::size_t object = cursor.take<unsigned char>();
    ByteVector message(cursor.rest().begin(), cursor.rest().end());
    if (object < messages.size()) {
        // Its message, changed by the bytes.
        const Bytes mask = cursor.rest();
        message = messages[object];
        for (std::size_t i = 0; i < std::min(mask.size(), message.size()); ++i) message[i] ^= mask[i];
        if (mask.size() > message.size()) message.resize(mask.size());
    }
    try {
        decode_kind(kind, message);
    } catch (const mp::Error&) {
    } catch (const std::system_error&) {}
}

Seeds seeds() {
    Seeds all;
    for (unsigned char kind = 0; kind < objects().messages.size(); ++kind) {
        const auto number = std::to_string(kind);
        all.push_back({"right_" + number, joined(raw(kind), raw(kind))});
        const auto wrong = static_cast<unsigned char>((kind + 1) % objects().messages.size());
        all.push_back({"wrong_" + number, joined(raw(kind), raw(wrong))});
    }
    all.push_back({"nobodys", joined(std::string("\0\xff", 2), raw(std::uint64_t{0x0000000100000400}))});
    return all;
}

const Target target("queue_messages", &run, &seeds);

}  // namespace
