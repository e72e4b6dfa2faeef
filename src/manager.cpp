#include <multiproc/manager.hpp>

#include <chrono>
#include <stdexcept>

#include <multiproc/errors.hpp>
#include <multiproc/interrupt.hpp>
#include <multiproc/process.hpp>

#include "manager_client.hpp"
#include "manager_server.hpp"
#include "shared_object.hpp"
#include "task_ref.hpp"

namespace multiproc {
namespace {

// Before it is ended by force.
constexpr auto longest_shutdown = std::chrono::seconds(5);

class ServerTarget final : public detail::ProxyTarget {
public:
    explicit ServerTarget(const ManagerAddress& address) noexcept : address_(address) {}
    std::uint64_t id() const noexcept override { return 0; }
    void exchange(const OutputBuffer& call, detail::QueueMessage& answer) const override {
        exchange_with(address_, call, answer);
    }
    void encode(OutputBuffer&) const override { throw CodecError("multiproc: a Manager itself cannot travel"); }

private:
    ManagerAddress address_;
};

}  // namespace

class Manager::State {
public:
    explicit State(const ManagerOptions& options) : State(options, pipe<std::uint64_t, int>()) {}

    ~State() {
        if (pid_ != os::current_pid()) return;  // the original's
        bool is_told = false;
        try {
            detail::QueueWriter stop;
            encode(stop, Knock::stop);
            accepting_.put(stop);
            is_told = true;
        } catch (const std::exception&) {}
        end_server(is_told);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    std::uint32_t pid() const { return process_.pid(); }
    const std::shared_ptr<const detail::ProxyTarget>& server() const {
        if (pid_ == os::current_pid()) return server_;
        throw ClosedError("multiproc: this Manager belongs to the process that made it, and this is another one");
    }

private:
    void end_server(bool is_told) noexcept {
        const InterruptHold hold;
        try {
            if (!is_told || !process_.join_for(longest_shutdown)) process_.kill();
            process_.join();
            process_.close();
        } catch (const std::exception&) {}  // at the program's end it is ended as a daemon
    }
    State(const ManagerOptions& options, std::pair<Connection<std::uint64_t, int>, Connection<int, std::uint64_t>> ends)
        : pid_(os::current_pid()),
          process_(ProcessOptions{.name = options.name, .daemon = true, .start_method = options.start_method},
                   run_manager_server, accepting_, ends.second) {
        process_.start();
        ends.second.close();
        try {
            const ManagerAddress address{detail::HandleAccess::object(accepting_)->ref().pack(), ends.first.recv()};
            server_ = std::make_shared<ServerTarget>(address);
        } catch (const EndOfFile&) {
            process_.result();  // throws, and tells why
            throw StartError("multiproc: the manager's server ended before it was ready");
        } catch (...) {
            end_server(false);
            throw;
        }
    }

    std::uint32_t pid_;
    ManagerLane accepting_;
    Process<void> process_;
    std::shared_ptr<const detail::ProxyTarget> server_;
};

Manager::Manager(ManagerOptions options) : state_(std::make_unique<State>(options)) {}
Manager::~Manager() = default;
Manager& Manager::operator=(Manager&& other) noexcept {
    state_ = std::move(other.state_);
    return *this;
}

void Manager::shutdown() noexcept { state_.reset(); }
std::uint32_t Manager::pid() const { return state_ ? state_->pid() : 0; }

std::shared_ptr<const detail::ProxyTarget> Manager::require_server() const {
    if (!state_) throw ClosedError("multiproc: this Manager was shut down, or moved from");
    return state_->server();
}

namespace detail {

ServerRun::ServerRun(const ProxyTarget& server, TaskTarget task) : server_(server) {
    const TaskRef& ref = refer(task);
    encode(call_, server.id(), std::uint32_t{0});
    encode(call_, ref.place);
    encode(call_, ref.modules);
    fields_ = call_.size();
    encode(call_, std::uint64_t{0});
}

void ServerRun::callable_written() noexcept {
    const std::uint64_t bytes = call_.size() - fields_ - sizeof bytes;
    call_.overwrite(fields_, &bytes, sizeof bytes);
}

InputBuffer& ServerRun::perform() {
    server_.exchange(call_, answer_);
    result_ = result_of(answer_);
    return result_;
}

}  // namespace detail
}  // namespace multiproc
