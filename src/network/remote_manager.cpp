#include <multiproc/remote_manager.hpp>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <multiproc/errors.hpp>
#include <multiproc/interrupt.hpp>

#include "manager_wire.hpp"
#include "os.hpp"
#include "per_thread.hpp"

namespace multiproc {

namespace {

// How often a thread that can be interrupted looks whether it is; and how often the others look up.
constexpr std::chrono::nanoseconds look_interval = std::chrono::milliseconds(50);
constexpr std::chrono::nanoseconds longest_interval = std::chrono::hours(1);
// How long an answer that nobody wants any more is awaited.
constexpr auto longest_farewell = std::chrono::seconds(1);

}  // namespace

using network::ClientConnection;
using network::Question;
using network::Reply;

// A thread's connection, which goes with its thread or with the link, whichever is first.
class SharedConnection {
public:
    explicit SharedConnection(ClientConnection connection) : connection_(std::move(connection)) {}
    // For the thread, while the link is there.
    const ClientConnection& get() const noexcept { return *connection_; }
    void drop() noexcept {
        const std::lock_guard lock(mutex_);
        connection_.reset();
    }

private:
    std::mutex mutex_;
    std::optional<ClientConnection> connection_;
};

// The way to one service. It is where proxies in answers come from.
class RemoteManager::Link final : public detail::TargetSource, public std::enable_shared_from_this<Link> {
public:
    explicit Link(const ConnectOptions& options) : options_(options), number_(random_number()), control_(open()) {}

    ~Link() override {
        if (owner_ != os::current_pid()) return;
        // The threads that had them may live long.
        for (const auto& known : connections_)
            if (const auto connection = known.lock()) connection->drop();
    }

    // Over this thread's connection. What the answer has brought is kept until `call_over`. Throws ClosedError.
    Reply ask_and_take_in(const Question& question) {
        Reply reply = ask(question);
        take_in(reply.objects);
        return reply;
    }
    std::shared_ptr<const detail::ProxyTarget> find(std::uint64_t id) override;
    void call_over() noexcept override;
    // The last proxy of an object is gone here.
    void release(std::uint64_t id, std::uint64_t times) noexcept;

private:
    Reply ask(const Question& question);
    static Reply await_reply(const ClientConnection& connection);
    void take_in(const std::vector<std::uint64_t>& objects);
    static network::ClientNumber random_number() {
        const AuthKey random = AuthKey::random();
        network::ClientNumber number;
        std::memcpy(number.data(), random.bytes().data(), sizeof number);
        return number;
    }
    ClientConnection open() const {
        ClientConnection connection = connect<Reply, Question>(options_);
        connection.send({.kind = Question::Kind::hello, .client = number_});
        return connection;
    }

    std::shared_ptr<SharedConnection> open_for_thread() {
        std::shared_ptr<SharedConnection> shared;
        try {
            shared = std::make_shared<SharedConnection>(open());
        } catch (const NetworkError& error) {
            throw ClosedError(std::string("multiproc: the manager's service is gone: ") + error.what());
        }
        const std::lock_guard lock(mutex_);
        std::erase_if(connections_, [](const auto& known) { return known.expired(); });
        connections_.push_back(shared);
        return shared;
    }

    const ConnectOptions options_;
    const std::uint32_t owner_ = os::current_pid();
    const network::ClientNumber number_;
    const ClientConnection control_;  // as long as it is there, so is what this client has
    std::mutex mutex_;
    std::vector<std::weak_ptr<SharedConnection>> connections_;  // one for each thread that has called
    std::unordered_map<std::uint64_t, std::weak_ptr<class RemoteTarget>> targets_;
};

namespace {
void set_answer(detail::QueueMessage& answer, const Reply& reply) {
    auto bytes = std::make_unique<std::byte[]>(reply.answer.size());
    if (!reply.answer.empty()) std::memcpy(bytes.get(), reply.answer.data(), reply.answer.size());
    answer.set(std::move(bytes), reply.answer.size());
}
}  // namespace

class RemoteTarget final : public detail::ProxyTarget {
public:
    RemoteTarget(std::shared_ptr<RemoteManager::Link> link, std::uint64_t id) : link_(std::move(link)), id_(id) {}
    ~RemoteTarget() override { link_->release(id_, times_brought); }

    std::uint64_t id() const noexcept override { return id_; }
    void exchange(const OutputBuffer& call, detail::QueueMessage& answer) const override {
        if (!call.attachments().empty()) {
            throw CodecError(
                "multiproc: what refers to memory of this machine, such as queues, locks and proxies of another "
                "manager, "
                "cannot be an argument of a call to another machine");
        }
        Question question{.kind = Question::Kind::call, .object = id_};
        question.call.assign(call.bytes().begin(), call.bytes().end());
        set_answer(answer, link_->ask_and_take_in(question));
    }
    // The service has it as long as this is here, so its number is enough.
    void encode(OutputBuffer& out) const override {
        if (detail::current_source() != link_.get()) {
            throw CodecError(
                "multiproc: a proxy of an object on another machine cannot travel to other processes; connect there, "
                "by a "
                "RemoteManager");
        }
        multiproc::encode(out, id_);
    }
    detail::TargetSource* source() const noexcept override { return link_.get(); }

    std::uint64_t times_brought = 0;  // guarded by the link's mutex

private:
    std::shared_ptr<RemoteManager::Link> link_;
    std::uint64_t id_;
};

namespace {

using TargetPtr = std::shared_ptr<RemoteTarget>;

struct ThreadConnection {
    std::weak_ptr<detail::TargetSource> link;
    std::shared_ptr<SharedConnection> connection;
};
struct ThreadState {
    std::vector<ThreadConnection> connections;
    std::vector<TargetPtr> brought;  // by the answer that is being decoded
};

}  // namespace

Reply RemoteManager::Link::ask(const Question& question) {
    std::vector<ThreadConnection>& all = of_this_thread<ThreadState>().connections;
    std::erase_if(all, [](const auto& known) { return known.link.expired(); });
    auto mine = std::ranges::find_if(all, [this](const auto& known) { return known.link.lock().get() == this; });
    if (mine == all.end()) {
        all.reserve(all.size() + 1);
        mine = all.insert(all.end(), ThreadConnection{weak_from_this(), open_for_thread()});
    }
    bool is_sent = false;
    try {
        mine->connection->get().send(question);
        is_sent = true;
        return await_reply(mine->connection->get());
    } catch (const EndOfFile&) { all.erase(mine); } catch (const ClosedError&) {
        all.erase(mine);
    } catch (...) {
        if (is_sent) all.erase(mine);  // its answer may come yet, and must not be taken for another's
        throw;
    }
    throw ClosedError("multiproc: the connection to the manager's service is gone");
}

// After Ctrl+C the service is told, and then answers soon: the call was given up, or has happened.
Reply RemoteManager::Link::await_reply(const ClientConnection& connection) {
    std::optional<std::chrono::steady_clock::time_point> end;
    for (;;) {
        {
            const InterruptHold hold;
            const auto interval = InterruptScope::is_active() ? look_interval : longest_interval;
            if (std::optional<Reply> reply = connection.recv_for(interval)) return std::move(*reply);
        }
        if (!InterruptScope::is_pending()) continue;
        const auto now = std::chrono::steady_clock::now();
        if (!end) {
            connection.send({.kind = Question::Kind::give_up});
            end = now + longest_farewell;
        } else if (*end <= now) {
            InterruptScope::check();
        }
    }
}

void RemoteManager::Link::take_in(const std::vector<std::uint64_t>& objects) {
    std::vector<TargetPtr> brought;  // let go of outside of the lock
    brought.reserve(objects.size());
    {
        const std::lock_guard lock(mutex_);
        for (const std::uint64_t id : objects) {
            TargetPtr target = targets_[id].lock();
            if (target == nullptr) {
                target = std::make_shared<RemoteTarget>(shared_from_this(), id);
                targets_[id] = target;
            }
            ++target->times_brought;
            brought.push_back(std::move(target));
        }
    }
    of_this_thread<ThreadState>().brought.swap(brought);
}

std::shared_ptr<const detail::ProxyTarget> RemoteManager::Link::find(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    if (const auto known = targets_.find(id); known != targets_.end())
        if (TargetPtr target = known->second.lock()) return target;
    throw CodecError("multiproc: an answer names an object that it did not bring");
}

void RemoteManager::Link::call_over() noexcept { std::vector<TargetPtr>().swap(of_this_thread<ThreadState>().brought); }

void RemoteManager::Link::release(std::uint64_t id, std::uint64_t times) noexcept {
    if (owner_ != os::current_pid()) return;  // in a copy made by fork: these are the original's
    try {
        {
            const std::lock_guard lock(mutex_);
            if (const auto known = targets_.find(id); known != targets_.end() && known->second.expired())
                targets_.erase(known);
        }
        control_.send({.kind = Question::Kind::release, .object = id, .times = times});
    } catch (const std::exception&) {}  // the service has gone, or lets go of it when this client has
}

RemoteManager::RemoteManager(const ConnectOptions& options) : link_(std::make_shared<Link>(options)) {}

std::shared_ptr<const detail::ProxyTarget> RemoteManager::get_target(const std::string& name,
                                                                     const std::type_info& type) const {
    detail::QueueMessage answer;
    set_answer(answer, link_->ask_and_take_in(
                           {.kind = Question::Kind::get, .name = name, .type = detail::portable_name(type)}));
    InputBuffer result = detail::result_of(answer);
    auto target = link_->find(decode<std::uint64_t>(result));
    link_->call_over();
    return target;
}

}  // namespace multiproc
