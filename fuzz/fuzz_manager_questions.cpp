// What a manager's server is asked: it answers each question, by a result or an error, and its objects stay usable.
//
// Each call is a byte that chooses the object, one that chooses the method, one that says how long the arguments are,
// and these. Beyond the objects and methods that there are, the call's head is part of the bytes.
#include <exception>

#include <multiproc/manager.hpp>

#include "manager_server.hpp"
#include "served_methods.hpp"
#include "target.hpp"
#include "task_ref.hpp"

namespace {

namespace mp = multiproc;
namespace detail = multiproc::detail;
using namespace multiproc::fuzz;

template <class C, class... Args>
mp::Proxy<C> make(Args... args) {
    return detail::MakeServed<C>()(std::move(args)...);
}

using List = detail::ServedList<int>;
using Lists = detail::ServedList<mp::ListProxy<int>>;
using Dict = detail::ServedDict<std::string, std::vector<int>>;
using Queue = detail::ServedQueue<std::string>;
using Value = detail::ServedValue<double>;
using Array = detail::ServedArray<int>;

std::string join(const std::vector<std::string>& words) {
    std::string all;
    for (const std::string& word : words) all += word;
    return all;
}
const mp::TaskRef& task() {
    using F = std::string (*)(const std::vector<std::string>&);
    return mp::refer(detail::Task<F, std::vector<std::string>>::target(&join));
}

struct Server {
    mp::ManagerServer& server = *new mp::ManagerServer(mp::ManagerLane());
    mp::Proxy<List> list = make<List>();
    mp::Proxy<Lists> lists = make<Lists>();
    mp::Proxy<Dict> dict = make<Dict>();
    mp::Proxy<Queue> queue = make<Queue>(std::int64_t{4});
    mp::Proxy<Value> value = make<Value>(1.0);
    mp::Proxy<Array> array = make<Array>(std::vector<int>{1, 2, 3});
    mp::Proxy<detail::ServedNamespace> names = make<detail::ServedNamespace>();
    mp::Proxy<detail::ServedLock> lock = make<detail::ServedLock>(false);
    mp::Proxy<detail::ServedSemaphore> semaphore = make<detail::ServedSemaphore>(std::int64_t{1}, true);
    mp::Proxy<detail::ServedEvent> event = make<detail::ServedEvent>();
    mp::Proxy<detail::ServedCondition> condition = make<detail::ServedCondition>();
    mp::Proxy<detail::ServedBarrier> barrier = make<detail::ServedBarrier>(std::int64_t{2}, detail::WireTimeout());

    struct Object {
        std::uint64_t id;
        const detail::ServedClass* type;
    };
    std::vector<Object> objects{of(list),  of(lists), of(dict),      of(queue), of(value),     of(array),
                                of(names), of(lock),  of(semaphore), of(event), of(condition), of(barrier)};

    // The answer, if it is no error.
    template <class... Args>
    bool call(std::uint64_t object, std::uint32_t method, const Args&... args) {
        mp::HeapBuffer out;
        mp::encode(out, object, method, args...);
        return ask(out);
    }
    bool ask(const mp::OutputBuffer& call) {
        detail::QueueMessage answer;
        try {
            server.answer_here(call, answer);
        } catch (const std::exception&) {  // what is no call: it is answered with that
            return false;
        }
        require(answer.input().remaining() != 0, "a call has an answer");
        try {
            (void)detail::result_of(answer);
            return true;
        } catch (const std::exception&) { return false; }
    }
    // As it was, for the next case.
    void reset() {
        bool is_usable = true;
        for (const auto& [id, type] : objects)
            if (type == of(list).type || type == of(lists).type || type == of(dict).type)
                is_usable = call(id, detail::method_id("clear")) && is_usable;
        is_usable = call(of(event).id, detail::method_id("clear")) && is_usable;
        require(is_usable, "the objects stay usable");
        renew(queue, std::int64_t{4});
        renew(names);
    }

private:
    template <class C>
    static Object of(const mp::Proxy<C>& proxy) {
        return {detail::ProxyAccess::target(proxy)->id(), &detail::served_class<C>()};
    }
    // In the place of what has no method that empties it.
    template <class C, class... Args>
    void renew(const mp::Proxy<C>& proxy, Args... args) {
        auto* const object = static_cast<C*>(server.find(of(proxy).id).get());
        object->~C();
        new (object) C(std::move(args)...);
    }
};

void ask_one(Server& server, Cursor& cursor) {
    const std::size_t object = cursor.take<unsigned char>();
    const std::size_t method = cursor.take<unsigned char>();
    const std::size_t size = cursor.take<unsigned char>();
    const Bytes rest = cursor.take_bytes(size);
    mp::HeapBuffer call;
    if (object < server.objects.size()) {
        const auto& [id, type] = server.objects[object];
        mp::encode(call, id, type->methods[method % type->method_count].id);
    } else if (object == server.objects.size()) {
        // A task. Which function of its signature it is, is up to the client.
        mp::TaskPlace place = Cursor(rest).take<mp::TaskPlace>();
        if (method % 2 == 0) place = task().place;
        if (place.function != 0) place.function = task().place.function;
        mp::encode(call, std::uint64_t{0}, std::uint32_t{0}, place);
    }
    call.write(rest.data(), rest.size());
    server.ask(call);
}

void run(Bytes bytes) {
    static Server& server = *new Server;
    Cursor cursor(bytes);
    for (int i = 0; i < 20 && !cursor.rest().empty(); ++i) ask_one(server, cursor);
    server.reset();
}

template <class... Args>
ByteVector call(unsigned char object, unsigned char method, const Args&... args) {
    const ByteVector arguments = encoded(args...);
    return joined(raw(object), raw(method), raw(static_cast<unsigned char>(arguments.size())), arguments);
}

Seeds seeds() {
    using Words = std::vector<std::string>;
    const std::int64_t zero = 0, last = -1;
    mp::HeapBuffer items;
    detail::Task<std::string (*)(const Words&), Words>::write_item(items, Words{"a", "b"});
    const ByteVector joins = joined(encoded(std::string(), std::uint64_t{0}), items.bytes());
    // The methods are in the order of their lists.
    return {{"list", joined(call(0, 6, 5), call(0, 6, 7), call(0, 1, zero), call(0, 3, zero, last), call(0, 8, last))},
            {"sort", joined(call(0, 7, std::vector<int>{3, 1, 2}), call(0, 14, true), call(0, 12, 2), call(0, 13, 9))},
            {"dict", joined(call(2, 4, std::string("a"), std::vector<int>{1}), call(2, 3, std::string("a")),
                            call(2, 14), call(2, 7, std::string("b")))},
            {"queue", joined(call(3, 0, std::string("job"), true, detail::WireTimeout()),
                             call(3, 1, true, detail::WireTimeout()), call(3, 2))},
            {"value", joined(call(4, 1, 2.5), call(4, 0), call(5, 2, zero, 9), call(5, 3, zero, last))},
            {"names", joined(call(6, 1, std::string("x"), mp::Any(10)), call(6, 0, std::string("x")), call(6, 4))},
            {"locks", joined(call(7, 0, true, detail::WireTimeout()), call(8, 1, std::int64_t{1}), call(8, 2),
                             call(9, 1), call(9, 3, detail::WireTimeout(0)), call(11, 3))},
            {"task", joined(std::string("\x0c\0", 2), raw(static_cast<unsigned char>(joins.size())), joins)},
            {"nobodys", joined(std::string("\xff\0\x0c", 3), encoded(std::uint64_t{0x100000400}, std::uint32_t{1}))}};
}

const Target target("manager_questions", &run, &seeds);

}  // namespace
