// What a manager's server answers: a client gets a result of the type that it expects, or an error.
//
// The first byte chooses the type.
#include <exception>
#include <memory>

#include <multiproc/manager.hpp>

#include "target.hpp"

namespace {

namespace mp = multiproc;
using namespace multiproc::fuzz;

template <class T>
void expect(mp::InputBuffer result) {
    (void)encoded(mp::decode<T>(result));
}

void run(Bytes bytes) {
    Cursor cursor(bytes);
    const auto choice = cursor.take<unsigned char>();
    const Bytes rest = cursor.rest();
    auto copy = std::make_unique<std::byte[]>(rest.size());
    if (!rest.empty()) std::memcpy(copy.get(), rest.data(), rest.size());
    mp::detail::QueueMessage answer;
    answer.set(std::move(copy), rest.size());
    try {
        const mp::InputBuffer result = mp::detail::result_of(answer);
        switch (choice % 6) {
            case 0: return expect<std::uint64_t>(result);
            case 1: return expect<std::vector<std::pair<std::string, std::vector<int>>>>(result);
            case 2: return expect<std::optional<std::string>>(result);
            case 3: return expect<std::vector<std::pair<std::string, mp::Any>>>(result);
            case 4: return expect<mp::ListProxy<int>>(result);
            default: return expect<mp::QueueProxy<int>>(result);
        }
    } catch (const std::exception& error) { require(error.what() != nullptr, "an error has a text"); }
}

Seeds seeds() {
    const auto answer = [](const char* name, unsigned char choice, const auto& value) {
        return Seed{name, joined(raw(choice), encoded(std::uint8_t{0}, value))};
    };
    using Pairs = std::vector<std::pair<std::string, std::vector<int>>>;
    using Anys = std::vector<std::pair<std::string, mp::Any>>;
    mp::HeapBuffer failure;
    try {
        throw std::out_of_range("no such index");
    } catch (...) { mp::detail::write_failure(failure, "list.at"); }
    return {answer("number", 0, std::uint64_t{3}),
            answer("pairs", 1, Pairs{{"a", {1, 2}}, {"b", {}}}),
            answer("text", 2, std::optional<std::string>("text")),
            answer("anys", 3, Anys{{"x", mp::Any(10)}, {"y", mp::Any(std::string("hello"))}}),
            answer("proxy", 4, std::uint64_t{0x100000400}),
            {"failure", joined(std::string(1, '\0'), failure.bytes())}};
}

const Target target("manager_answers", &run, &seeds);

}  // namespace
