#include "manager_server.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <multiproc/detail/monitor.hpp>
#include <multiproc/errors.hpp>

#include "deadline.hpp"
#include "die_here.hpp"
#include "local_run.hpp"
#include "manager_client.hpp"
#include "per_process.hpp"
#include "per_thread.hpp"
#include "shared_object.hpp"
#include "task_ref.hpp"

namespace multiproc {
namespace {

using Clock = std::chrono::steady_clock;

// At least so long from one look for objects that nobody uses to the next; and at most a twentieth of the time.
constexpr auto collection_interval = std::chrono::milliseconds(100);
// How long the end waits for destructors.
constexpr auto longest_farewell = std::chrono::seconds(2);

struct References {
    std::vector<detail::Attachment> kept;
};

struct ServerOfProcess {
    std::atomic<ManagerServer*> server{nullptr};
};
// In a copy of the process, made by fork, there is none.
std::atomic<ManagerServer*>& server_of_process() { return of_this_process<ServerOfProcess>().server; }

[[noreturn]] void throw_no_server() {
    throw std::logic_error("multiproc: this can be done in a manager's server only");
}

thread_local const ManagerServer::Client* client_of_thread = nullptr;
thread_local bool makes_calls_here = false;

}  // namespace

ManagerServer::ManagerServer(ManagerLane accepting)
    : accepting_(std::move(accepting)),
      address_{detail::HandleAccess::object(accepting_)->ref().pack(), Runtime::get().self_ref().pack()} {
    server_of_process().store(this);
}

ManagerServer& ManagerServer::get() {
    ManagerServer* const server = server_of_process().load();
    if (server == nullptr) throw_no_server();
    return *server;
}

const ManagerServer::Client& ManagerServer::current_client() {
    if (client_of_thread == nullptr)
        throw std::logic_error("multiproc: this can be done in a call to a manager's server only");
    return *client_of_thread;
}

ManagerServer* ManagerServer::here(const ManagerAddress& address) noexcept {
    if (!makes_calls_here) return nullptr;
    ManagerServer* const server = server_of_process().load();
    return server != nullptr && server->address_.accepting == address.accepting ? server : nullptr;
}

void ManagerServer::answer_here(const OutputBuffer& call, detail::QueueMessage& answered) {
    HeapBuffer out;
    answer(InputBuffer(call.bytes(), call.attachments()), out);
    // What it refers to is held until it was decoded, which this thread does before it makes the next call.
    of_this_thread<References>().kept = out.take_attachments();
    auto bytes = std::make_unique<std::byte[]>(out.size());
    std::memcpy(bytes.get(), out.bytes().data(), out.size());
    answered.set(std::move(bytes), out.size());
}

void ManagerServer::run() {
    std::thread([this] { destroy_all(); }).detach();
    while (!is_stopping_.load(std::memory_order_relaxed)) {
        try {
            detail::QueueMessage message;
            if (accepting_.get(message, collection_interval)) accept(message);
            if (Clock::now() >= next_collection_) collect();
        } catch (const std::exception&) {
            // No memory or thread, for a client or at all. A client's end of the pipe is gone with its greeting, which tells it.
            std::this_thread::yield();
        }
    }
    std::vector<ObjectPtr> rest;
    {
        const std::unique_lock lock(mutex_);
        holdable_.clear();
        rest.reserve(objects_.size());
        for (auto& [id, object] : objects_) rest.push_back(std::move(object));
        objects_.clear();
    }
    destroy(std::move(rest));
    std::unique_lock lock(dying_mutex_);
    dying_changed_.wait_for(lock, longest_farewell, [this] { return dying_.empty() && !is_destroying_; });
}

void ManagerServer::destroy(std::vector<ObjectPtr> objects) {
    {
        const std::lock_guard lock(dying_mutex_);
        if (dying_.empty()) {
            dying_.swap(objects);
        } else {
            dying_.insert(dying_.end(), objects.begin(), objects.end());
        }
    }
    dying_changed_.notify_all();
}

void ManagerServer::destroy_all() {
    makes_calls_here = true;
    std::unique_lock lock(dying_mutex_);
    for (;;) {
        dying_changed_.wait(lock, [this] { return !dying_.empty(); });
        std::vector<ObjectPtr> objects;
        objects.swap(dying_);
        is_destroying_ = true;
        lock.unlock();
        objects.clear();
        lock.lock();
        is_destroying_ = false;
        dying_changed_.notify_all();
    }
}

void ManagerServer::accept(const detail::QueueMessage& message) {
    InputBuffer in = message.input();
    if (decode<Knock>(in) == Knock::stop) return is_stopping_.store(true);
    auto [calls, answers, peer, process] = decode_all<ManagerLane, ManagerLane, std::uint64_t, std::uint64_t>(in);
    detail::PipeEnd end = detail::PipeEnd::decode(in, answers);
    die_here(DeathPoint::manager_accepted);
    auto client = std::make_unique<Client>(Client{++clients_, std::move(calls), std::move(answers), std::move(end),
                                                  peer, Runtime::ProcessRef::unpack(process)});
    std::thread([this, mine = std::move(client)] { serve(*mine); }).detach();
}

bool ManagerServer::is_wanted(const Client& client) const {
    if (is_stopping_.load(std::memory_order_relaxed) || detail::is_end_gone(client.peer)) return false;
    const std::int64_t now = Clock::now().time_since_epoch().count();
    if (now < client.next_look) return true;
    if (!Runtime::get().is_alive(client.process)) return false;
    client.next_look = now + Clock::duration(WaitSet::longest_wait).count();
    return true;
}

// It calls nothing else before it has the answer, and may say that it does not want it.
static bool says_give_up(const detail::QueueMessage& message) {
    InputBuffer in = message.input();
    return in.remaining() == sizeof give_up && decode<std::uint64_t>(in) == give_up;
}

bool ManagerServer::has_given_up(const Client& client) {
    if (client.next_call) return false;
    auto next = std::make_unique<detail::QueueMessage>();
    if (!client.calls.get(*next, std::chrono::nanoseconds(0), client.peer)) return false;
    if (!says_give_up(*next)) client.next_call = std::move(next);
    return true;
}

void ManagerServer::serve(const Client& client) {
    client_of_thread = &client;
    makes_calls_here = true;
    try {
        answer_all(client);
    } catch (const std::exception&) {
    }  // there is no memory even to say so; the client is told by the end of the session
    client_of_thread = nullptr;
    die_here(DeathPoint::manager_client_gone);
    forget_client(client);
    // If its parent has died as well, nobody else takes back what it held.
    if (!Runtime::get().is_alive(client.process)) Runtime::get().sweep();
}

void ManagerServer::answer_all(const Client& client) {
    for (;;) {
        detail::QueueMessage received;
        const std::unique_ptr<detail::QueueMessage> earlier = std::move(client.next_call);
        if (!earlier && !client.calls.get(received, look_interval, client.peer)) {
            if (is_wanted(client)) continue;
            // What it had called before its end is done all the same.
            if (is_stopping_ || !client.calls.get(received, std::chrono::nanoseconds(0), client.peer)) return;
        }
        const detail::QueueMessage& call = earlier ? *earlier : received;
        if (says_give_up(call)) continue;  // what it does not want was answered before
        die_here(DeathPoint::manager_call_got);
        try {
            detail::QueueWriter out;
            answer(call.input(), out);
            die_here(DeathPoint::manager_call_done);
            client.answers.put(out);
            die_here(DeathPoint::manager_answered);
        } catch (const std::exception&) {
            // The answer cannot be sent, for want of memory or because of what it refers to.
            detail::QueueWriter out;
            detail::write_failure(out, "a call to a manager");
            client.answers.put(out);
        }
    }
}

void ManagerServer::answer(InputBuffer in, OutputBuffer& out) {
    const auto id = decode<std::uint64_t>(in);
    if (id == 0) return run_task(in, out);
    encode(out, Answer::result);
    call_method(id, in, out);
}

void ManagerServer::call_method(std::uint64_t id, InputBuffer& in, OutputBuffer& out) {
    const ObjectPtr object = find_object(id);
    const auto wanted = decode<std::uint32_t>(in);
    const detail::ServedClass& type = *object->type;
    const auto* const end = type.methods + type.method_count;
    const auto* const method = std::find_if(type.methods, end, [&](const auto& known) { return known.id == wanted; });
    const auto class_name = [&] { return os::demangle(type.type().name()); };
    if (method == end) throw CodecError("multiproc: a call names a method that " + class_name() + " does not have");
    try {
        method->call(object->object, method->is_exclusive ? &object->mutex : nullptr, in, out);
    } catch (...) { detail::write_failure(out, class_name() + "::" + method->name); }
}

void ManagerServer::run_task(InputBuffer& in, OutputBuffer& out) {
    decode<std::uint32_t>(in);
    const auto place = decode<TaskPlace>(in);
    const auto modules = decode<std::string>(in);
    const auto fields = static_cast<std::size_t>(decode<std::uint64_t>(in));
    const std::byte* const callable = in.take(fields);
    const std::size_t rest = in.remaining();
    const ResolvedTask task = resolve(place, modules);
    LocalRun run;
    const std::vector<LocalRun::Item> items =
        run.run({task.descriptor, task.function}, task.name(), {callable, fields}, {in.take(rest), rest}, 1);
    const LocalRun::Item& item = items.front();
    encode(out, item.is_error ? Answer::error : Answer::result);
    for (const detail::Attachment& attachment : item.blocks) out.attach(attachment);
    out.write(item.bytes.data(), item.bytes.size());
}

detail::ObjectRef ManagerServer::add(const detail::ServedClass& type, void* object) {
    ObjectPtr entry;
    try {
        entry = std::make_shared<Object>(type, object);
    } catch (...) {
        type.destroy(object);
        throw;
    }
    detail::ObjectRef token = detail::make_object(detail::ObjectKind::managed, sizeof(ManagedObject));
    *reinterpret_cast<ManagedObject*>(detail::state_of(*token)) = {address_, type_hash(type.type())};
    die_here(DeathPoint::managed_object_made);
    const std::uint64_t id = token->ref().pack();
    const std::unique_lock lock(mutex_);
    objects_.emplace(id, entry);
    try {
        if (type.client_gone != nullptr) holdable_.emplace(id, std::move(entry));
    } catch (...) {
        objects_.erase(id);
        throw;
    }
    return token;
}

ManagerServer::ObjectPtr ManagerServer::find_object(std::uint64_t id) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(id);
    if (found == objects_.end()) throw ClosedError("multiproc: this manager has no such object any more");
    return found->second;
}

std::shared_ptr<void> ManagerServer::find(std::uint64_t id) const {
    const ObjectPtr object = find_object(id);
    return {object, object->object};
}

// Whoever holds the mutex of such an object waits for no other.
void ManagerServer::forget_client(const Client& client) noexcept {
    const std::shared_lock lock(mutex_);
    for (const auto& [id, object] : holdable_) object->type->client_gone(object->object, client.number);
}

void ManagerServer::collect() {
    const Clock::time_point begin = Clock::now();
    const Arena& arena = Runtime::get().arena();
    std::vector<std::uint64_t> unused;
    {
        const std::shared_lock lock(mutex_);
        for (const auto& [id, object] : objects_)
            if (!arena.exists(Arena::Ref::unpack(id))) unused.push_back(id);
    }
    std::vector<ObjectPtr> objects;
    objects.reserve(unused.size());
    if (!unused.empty()) {
        const std::unique_lock lock(mutex_);
        for (const std::uint64_t id : unused) {
            holdable_.erase(id);
            const auto found = objects_.find(id);
            objects.push_back(std::move(found->second));
            objects_.erase(found);
        }
    }
    if (!objects.empty()) {
        die_here(DeathPoint::managed_objects_collected);
        destroy(std::move(objects));
    }
    const Clock::time_point end = Clock::now();
    next_collection_ = end + std::max<Clock::duration>(collection_interval, (end - begin) * 20);
}

void run_manager_server(ManagerLane accepting, Connection<int, std::uint64_t> owner) {
    os::ignore_interrupts();                                  // Ctrl+C is the owner's to decide on
    auto& server = *new ManagerServer(std::move(accepting));  // for good: threads may use it until the process ends
    owner.send(Runtime::get().self_ref().pack());
    owner.close();
    server.run();
}

namespace detail {

std::uint64_t current_client() { return ManagerServer::current_client().number; }

Monitor::Deadline Monitor::deadline_of(bool block, const WireTimeout& timeout) noexcept {
    if (!block) return Deadline::min();
    return timeout ? multiproc::deadline_after(std::chrono::nanoseconds(*timeout)) : os::never;
}

void ObjectMutex::lock() {
    const std::thread::id me = std::this_thread::get_id();
    std::unique_lock guard(mutex_);
    while (depth_ != 0 && owner_ != me) {
        free_.wait_until(guard, Clock::now() + WaitSet::longest_wait);
        if (depth_ != 0 && client_of_thread != nullptr) Monitor::require_client();
    }
    owner_ = me;
    ++depth_;
}

void ObjectMutex::unlock() noexcept {
    {
        const std::lock_guard guard(mutex_);
        if (--depth_ != 0) return;
    }
    free_.notify_one();
}

void Monitor::require_client() {
    const ManagerServer::Client& client = ManagerServer::current_client();
    if (!ManagerServer::get().is_wanted(client))
        throw ClosedError("multiproc: the manager was shut down while a call waited, or its client has ended");
    if (ManagerServer::has_given_up(client)) throw Interrupted("multiproc: the client has given its call up");
}

bool Monitor::wait_a_little(Lock& lock, Deadline deadline) const {
    require_client();
    const Clock::time_point now = Clock::now();
    if (deadline <= now) return false;
    changed_.wait_until(lock, std::min<Deadline>(deadline, now + WaitSet::longest_wait));
    return true;
}

std::shared_ptr<const ProxyTarget> serve_object(const ServedClass& type, void* object) {
    ManagerServer* const server = server_of_process().load();
    if (server != nullptr) return make_target(server->add(type, object));
    type.destroy(object);
    throw_no_server();
}

std::shared_ptr<void> served_object(const ProxyTarget& target) { return ManagerServer::get().find(target.id()); }

}  // namespace detail
}  // namespace multiproc
