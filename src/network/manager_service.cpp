#include <algorithm>
#include <atomic>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <multiproc/errors.hpp>
#include <multiproc/remote_manager.hpp>

#include "manager_wire.hpp"
#include "os.hpp"

namespace multiproc {

using network::ClientNumber;
using network::Question;
using network::Reply;
using network::ServiceConnection;

namespace {

using Target = std::shared_ptr<const detail::ProxyTarget>;
// A client that has connected says at once who it is.
constexpr auto hello_timeout = std::chrono::seconds(5);

// What a client has, over all its connections.
class Client {
public:
    void hold(const Target& target) {
        const std::lock_guard lock(mutex_);
        Held& held = held_.try_emplace(target->id(), Held{target, 0}).first->second;
        ++held.times;
    }
    Target get(std::uint64_t id) {
        const std::lock_guard lock(mutex_);
        const auto found = held_.find(id);
        if (found == held_.end()) throw ClosedError("multiproc: this client has no such object");
        return found->second.target;
    }
    void release(std::uint64_t id, std::uint64_t times) {
        Target last;  // let go of outside of the lock
        const std::lock_guard lock(mutex_);
        const auto found = held_.find(id);
        if (found == held_.end()) return;
        found->second.times -= std::min(times, found->second.times);
        if (found->second.times != 0) return;
        last = std::move(found->second.target);
        held_.erase(found);
    }

private:
    struct Held {
        Target target;
        std::uint64_t times;
    };
    std::mutex mutex_;
    std::unordered_map<std::uint64_t, Held> held_;
};

std::vector<std::byte> bytes_of(const OutputBuffer& buffer) { return {buffer.bytes().begin(), buffer.bytes().end()}; }

}  // namespace

class ManagerService::State {
public:
    explicit State(ListenerOptions options) : listener_(std::move(options)), acceptor_([this] { accept_all(); }) {}
    ~State() {
        is_closing_ = true;
        listener_.close();
        acceptor_.join();
        for (Session& session : sessions_) session.connection.close();
        for (Session& session : sessions_) session.thread.join();
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    // In a copy of the process made by fork the threads are not there, and nothing can be said of what they were doing.
    bool is_ours() const noexcept { return owner_ == os::current_pid(); }
    const Listener& listener() const noexcept { return listener_; }
    void publish(const std::string& name, Target target, std::string type) {
        const std::lock_guard lock(mutex_);
        published_.insert_or_assign(name, Published{std::move(target), std::move(type)});
    }
    bool withdraw(const std::string& name) {
        const std::lock_guard lock(mutex_);
        return published_.erase(name) != 0;
    }

private:
    struct Published {
        Target target;
        std::string type;
    };
    struct Session {
        explicit Session(ServiceConnection accepted) : connection(std::move(accepted)) {}
        ServiceConnection connection;
        std::thread thread;
        std::atomic<bool> is_over{false};
    };

    void accept_all() {
        while (!is_closing_) {
            try {
                begin(listener_.accept<Question, Reply>());
            } catch (const ClosedError&) {
                return;
            } catch (const std::exception&) {  // no descriptors or threads left, say: not for long
                std::this_thread::sleep_for(std::chrono::milliseconds(100));
            }
            sessions_.remove_if([](Session& session) {
                if (!session.is_over) return false;
                session.thread.join();
                return true;
            });
        }
    }

    void begin(ServiceConnection connection) {
        Session& session = sessions_.emplace_back(std::move(connection));
        try {
            session.thread = std::thread([this, &session] { serve(session); });
        } catch (...) {
            sessions_.pop_back();
            throw;
        }
    }

    void serve(Session& session) noexcept {
        try {
            const std::optional<Question> hello = session.connection.recv_for(hello_timeout);
            if (hello && hello->kind == Question::Kind::hello)
                answer_all(session.connection, *client_of(hello->client));
        } catch (const std::exception&) {}  // it is gone, or makes no sense: so ends its connection
        session.connection.close();
        session.is_over = true;
    }

    std::shared_ptr<Client> client_of(const ClientNumber& number) {
        const std::lock_guard lock(mutex_);
        std::erase_if(clients_, [](const auto& known) { return known.second.expired(); });
        std::weak_ptr<Client>& known = clients_[number];
        std::shared_ptr<Client> client = known.lock();
        if (client == nullptr) known = client = std::make_shared<Client>();
        return client;
    }

    void answer_all(const ServiceConnection& connection, Client& client) {
        // A client that waits for an answer sends nothing but that it waits no more; or what can be received is the end.
        const detail::CallWatch watch([&] { return !is_closing_ && !connection.poll(); });
        for (;;) {
            const Question question = connection.recv();
            if (question.kind == Question::Kind::give_up) continue;  // it was answered meanwhile
            if (question.kind == Question::Kind::release) {
                client.release(question.object, question.times);
                continue;
            }
            Reply reply;
            try {
                reply = question.kind == Question::Kind::get ? find(question, client) : call(question, client);
            } catch (const std::exception&) { reply = failure(); }
            try {
                connection.send(reply);
            } catch (const CodecError&) {  // it is too long, so nothing was sent
                for (const std::uint64_t id : reply.objects) client.release(id, 1);
                connection.send(failure());
            }
        }
    }

    // In a catch block.
    static Reply failure() {
        HeapBuffer answer;
        detail::write_failure(answer, "a call over a network");
        return {{}, bytes_of(answer)};
    }

    Reply find(const Question& question, Client& client) {
        const std::lock_guard lock(mutex_);
        const auto found = published_.find(question.name);
        if (found == published_.end())
            throw std::out_of_range("multiproc: nothing is published as \"" + question.name + "\"");
        const auto& [target, type] = found->second;
        if (type != question.type) {
            throw std::invalid_argument("multiproc: \"" + question.name + "\" is published as " + type + ", not as " +
                                        question.type);
        }
        HeapBuffer answer;
        encode(answer, std::uint8_t{0}, target->id());
        Reply reply{{target->id()}, bytes_of(answer)};
        client.hold(target);
        return reply;
    }

    static Reply call(const Question& question, Client& client) {
        const Target target = client.get(question.object);
        // The call itself names the object as well.
        if (question.call.size() < sizeof(std::uint64_t) ||
            std::memcmp(question.call.data(), &question.object, sizeof question.object) != 0)
            throw CodecError("multiproc: a call names another object than the one it is for");
        HeapBuffer passed_on;
        passed_on.write(question.call.data(), question.call.size());
        detail::QueueMessage answer;
        target->exchange(passed_on, answer);
        Reply reply;
        InputBuffer bytes = answer.input();
        const std::size_t size = bytes.remaining();
        const std::byte* const first = bytes.take(size);
        reply.answer.assign(first, first + size);
        const std::vector<Target> targets = detail::targets_in(answer);
        reply.objects.reserve(targets.size());
        for (const Target& brought : targets) {
            client.hold(brought);
            reply.objects.push_back(brought->id());
        }
        return reply;
    }

    const std::uint32_t owner_ = os::current_pid();
    std::atomic<bool> is_closing_{false};
    std::mutex mutex_;
    std::map<std::string, Published> published_;
    std::map<ClientNumber, std::weak_ptr<Client>> clients_;
    std::list<Session> sessions_;  // the acceptor's, until that has ended
    Listener listener_;
    std::thread acceptor_;
};

ManagerService::ManagerService(ListenerOptions options) : state_(std::make_unique<State>(std::move(options))) {}
ManagerService::~ManagerService() { close(); }
void ManagerService::close() noexcept {
    if (state_ && !state_->is_ours()) state_.release();
    state_.reset();
}

void ManagerService::publish_target(const std::string& name, Target target, const std::type_info& type) {
    if (target->source() != nullptr) {
        throw std::invalid_argument(
            "multiproc: a proxy of an object on another machine cannot be published; let clients connect there");
    }
    if (!state_) throw ClosedError("multiproc: this ManagerService is closed");
    state_->publish(name, std::move(target), detail::portable_name(type));
}

bool ManagerService::withdraw(const std::string& name) { return state_ && state_->withdraw(name); }

std::string ManagerService::address() const {
    if (!state_) throw ClosedError("multiproc: this ManagerService is closed");
    return state_->listener().address();
}
std::uint16_t ManagerService::port() const {
    if (!state_) throw ClosedError("multiproc: this ManagerService is closed");
    return state_->listener().port();
}

}  // namespace multiproc
