#include "manager_client.hpp"

#include <algorithm>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/errors.hpp>

#include "die_here.hpp"
#include "error_transport.hpp"
#include "interrupt.hpp"
#include "manager_server.hpp"
#include "per_thread.hpp"
#include "shared_object.hpp"

namespace multiproc {
namespace {

// How soon a call that is watched is given up.
constexpr auto watched_interval = std::chrono::milliseconds(20);
// How long its answer is awaited all the same, so that the call has happened, or has not.
constexpr auto longest_farewell = std::chrono::seconds(1);

[[noreturn]] void throw_gone() {
    throw ClosedError(
        "multiproc: the manager of this object was shut down, or its server process has ended; what it held is gone");
}

thread_local const std::function<bool()>* watch_of_thread = nullptr;
thread_local detail::TargetSource* source_of_thread = nullptr;

// This thread's with one server.
class Session {
public:
    explicit Session(const ManagerAddress& manager) : manager_(manager), pid_(os::current_pid()) {
        const detail::PipeEnd servers = detail::PipeEnd::make(answers_);
        peer_ = servers.name();
        greet(servers);
    }
    bool is_for(const ManagerAddress& manager) const noexcept { return manager_.accepting == manager.accepting; }
    // A copy of the process, made by fork, has the original's sessions, which are not its own.
    bool is_ours() const noexcept { return pid_ == os::current_pid(); }
    bool is_over() const { return detail::is_end_gone(peer_) || !is_server_alive(); }

    void exchange(const OutputBuffer& call, detail::QueueMessage& answer) {
        calls_.put(call);  // if it throws, nothing was sent
        die_here(DeathPoint::manager_called);
        ++outstanding_;
        while (outstanding_ > 1) {
            detail::QueueMessage nobodys;
            take(nobodys);
        }
        take(answer);
        die_here(DeathPoint::manager_answer_got);
    }

private:
    // Throws ClosedError when the server has gone; and what getting a message throws. The answer may come yet then, unless
    // it was there and cannot be taken in.
    void take(detail::QueueMessage& answer) {
        os::Deadline end = os::never;  // of waiting for the answer to a call that nobody wants any more
        while (!is_here(answer)) {
            if (is_over() && !is_here(answer, true)) {
                if (!is_server_alive()) throw_gone();
                throw ClosedError(
                    "multiproc: the manager's server is shutting down, or has no memory or waiting threads left for "
                    "this "
                    "thread's calls");
            }
            if (is_wanted()) continue;
            const os::Deadline now = os::Clock::now();
            if (end == os::never) {
                detail::QueueWriter note;
                encode(note, give_up);  // what the server is at
                calls_.put(note);
                end = now + longest_farewell;
            } else if (end <= now) {
                throw_if_interrupted();
                throw ClosedError("multiproc: a call was given up");
            }
        }
        --outstanding_;
    }

    bool is_here(detail::QueueMessage& answer, bool only_asks = false) {
        const InterruptHold hold;  // what interrupts the wait does not interrupt the server
        const bool looks_often = watch_of_thread != nullptr || InterruptScope::is_active();
        const auto interval = looks_often ? watched_interval : look_interval;
        try {
            return answers_.get(answer, only_asks ? std::chrono::nanoseconds(0) : interval, peer_);
        } catch (const StartError&) {  // too many threads wait
            throw;
        } catch (const ClosedError&) { throw; } catch (...) {
            --outstanding_;  // it was there, and is not taken in
            throw;
        }
    }
    static bool is_wanted() { return !is_interrupted() && (watch_of_thread == nullptr || (*watch_of_thread)()); }
    bool is_server_alive() const noexcept {
        return Runtime::get().is_alive(Runtime::ProcessRef::unpack(manager_.server));
    }
    void greet(const detail::PipeEnd& servers) const;

    ManagerAddress manager_;
    std::uint32_t pid_;
    ManagerLane calls_, answers_;
    detail::PipeEnd end_ = detail::PipeEnd::make(calls_);  // the server is told when it is gone
    std::uint64_t peer_ = 0;
    std::uint32_t outstanding_ = 0;  // answers that may come yet
};

// The server's end goes to the server with the greeting, and is nobody's here.
void Session::greet(const detail::PipeEnd& servers) const {
    detail::ObjectRef accepting;
    try {
        accepting = ObjectRegistry::get().require(Arena::Ref::unpack(manager_.accepting));
    } catch (const CodecError&) { throw_gone(); }
    if (!is_server_alive()) throw_gone();
    detail::QueueWriter greeting;
    encode(greeting, Knock::greeting, calls_, answers_, end_.name(), Runtime::get().self_ref().pack());
    servers.encode(greeting);
    die_here(DeathPoint::manager_session_made);
    detail::HandleAccess::make<ManagerLane>(std::move(accepting)).put(greeting);
    die_here(DeathPoint::manager_greeted);
}

struct Sessions {
    std::vector<std::unique_ptr<Session>> all;
};

void drop_ended(std::vector<std::unique_ptr<Session>>& sessions) {
    std::erase_if(sessions, [](const auto& session) { return !session->is_ours() || session->is_over(); });
}

Session& session_with(const ManagerAddress& manager) {
    std::vector<std::unique_ptr<Session>>& all = of_this_thread<Sessions>().all;
    for (const auto& session : all)
        if (session->is_for(manager) && session->is_ours()) return *session;
    drop_ended(all);
    return *all.emplace_back(std::make_unique<Session>(manager));
}

class LocalTarget final : public detail::ProxyTarget {
public:
    explicit LocalTarget(detail::ObjectRef object) noexcept : object_(std::move(object)) {}

    std::uint64_t id() const noexcept override { return object_->ref().pack(); }
    void exchange(const OutputBuffer& call, detail::QueueMessage& answer) const override {
        exchange_with(reinterpret_cast<const ManagedObject*>(detail::state_of(*object_))->manager, call, answer);
    }
    void encode(OutputBuffer& out) const override { detail::encode_object(out, object_); }

private:
    detail::ObjectRef object_;
};

}  // namespace

void exchange_with(const ManagerAddress& manager, const OutputBuffer& call, detail::QueueMessage& answer) {
    // In the server itself nobody else is needed, and the call is made for the same client.
    if (ManagerServer* const server = ManagerServer::here(manager)) return server->answer_here(call, answer);
    Session& session = session_with(manager);
    try {
        session.exchange(call, answer);
    } catch (const ClosedError&) {  // it is over, or given up
        std::erase_if(of_this_thread<Sessions>().all, [&](const auto& known) { return known.get() == &session; });
        throw;
    }
}

void forget_ended_sessions() noexcept {
    try {
        drop_ended(of_this_thread<Sessions>().all);
    } catch (const std::exception&) {}  // the next session tries again
}

std::shared_ptr<const detail::ProxyTarget> make_target(detail::ObjectRef object) {
    return std::make_shared<LocalTarget>(std::move(object));
}

namespace detail {

ProxyTarget::~ProxyTarget() = default;
TargetSource::~TargetSource() = default;
TargetSource* current_source() noexcept { return source_of_thread; }

ProxyCall::ProxyCall(const ProxyTarget& target, std::uint32_t method)
    : target_(target), outer_source_(std::exchange(source_of_thread, target.source())) {
    encode(call_, target.id(), method);
}

ProxyCall::~ProxyCall() {
    if (source_of_thread != nullptr) source_of_thread->call_over();
    source_of_thread = outer_source_;
}

InputBuffer& ProxyCall::perform() {
    target_.exchange(call_, answer_);
    result_ = result_of(answer_);
    return result_;
}

InputBuffer result_of(const QueueMessage& answer) {
    InputBuffer in = answer.input();
    if (decode<Answer>(in) != Answer::error) return in;
    try {
        std::rethrow_exception(decode_exception(in));
    } catch (const Interrupted&) {  // the call was given up, as this thread has asked for
        throw_if_interrupted();
        throw;
    }
}

void write_failure(OutputBuffer& answer, std::string_view task) {
    answer.truncate(0);
    answer.take_attachments();
    encode(answer, Answer::error);
    encode_current_exception(answer, os::current_pid(), task);
}

std::vector<std::shared_ptr<const ProxyTarget>> targets_in(const QueueMessage& answer) {
    std::vector<std::shared_ptr<const ProxyTarget>> targets;
    for (const std::uint64_t name : answer.references()) {
        const Arena::Ref ref = Arena::Ref::unpack(name);
        if (Runtime::get().arena().kind(ref) != static_cast<Arena::Kind>(ObjectKind::managed)) {
            throw CodecError(
                "multiproc: what lies in this machine's shared memory cannot go to another; use the manager's own "
                "locks, "
                "queues, values and arrays");
        }
        targets.push_back(make_target(ObjectRegistry::get().require(ref)));
    }
    return targets;
}

CallWatch::CallWatch(std::function<bool()> is_wanted) : is_wanted_(std::move(is_wanted)) {
    watch_of_thread = &is_wanted_;
}
CallWatch::~CallWatch() { watch_of_thread = nullptr; }

std::shared_ptr<const ProxyTarget> decode_target(InputBuffer& in, const std::type_info& type) {
    if (source_of_thread != nullptr) return source_of_thread->find(decode<std::uint64_t>(in));
    ObjectRef object = decode_object(in, ObjectKind::managed, sizeof(ManagedObject));
    if (reinterpret_cast<const ManagedObject*>(state_of(*object))->type != type_hash(type)) {
        throw CodecError("multiproc: a message names a managed object that is no " + os::demangle(type.name()));
    }
    return make_target(std::move(object));
}

}  // namespace detail
}  // namespace multiproc
