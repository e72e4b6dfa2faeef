// The server of a manager: the objects, and the clients' calls to them.
//
// One thread accepts clients, and now and then destroys the objects whose last proxy is gone: nobody counts proxies, but a
// proxy holds the object that stands for it in the arena, whose holders are known, also when they are killed. Each thread
// of a client is answered by a thread of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include <multiproc/proxy.hpp>

#include "manager_protocol.hpp"

namespace multiproc {

class ManagerServer {
public:
    explicit ManagerServer(ManagerLane accepting);
    // Until it is told to stop. Then the process must end: threads may still be answering.
    void run();

    // The one of this process. Throws std::logic_error if it is no manager's server.
    static ManagerServer& get();
    // The one at that address, if it is this process's, for a thread that answers a call or destroys objects: such a thread
    // makes calls itself, without a session. Else null.
    static ManagerServer* here(const ManagerAddress& address) noexcept;
    void answer_here(const OutputBuffer& call, detail::QueueMessage& answer);
    // Takes the object over, also if it throws.
    detail::ObjectRef add(const detail::ServedClass& type, void* object);
    std::shared_ptr<void> find(std::uint64_t id) const;

    // Whose calls a thread answers.
    struct Client {
        std::uint64_t number;
        ManagerLane calls, answers;
        detail::PipeEnd end;  // this server's
        std::uint64_t peer;   // the client's end
        Runtime::ProcessRef process;
        // For its thread alone:
        mutable std::int64_t next_look = 0;  // at its process, which costs more than at its end
        mutable std::unique_ptr<detail::QueueMessage> next_call = nullptr;  // came while a call was being answered
    };
    static const Client& current_client();
    bool is_wanted(const Client& client) const;
    // Whether it does not wait for the answer to its call any more. Says so once.
    static bool has_given_up(const Client& client);

private:
    struct Object {
        const detail::ServedClass* type;
        void* object;
        detail::ObjectMutex mutex;
        Object(const detail::ServedClass& of, void* what) noexcept : type(&of), object(what) {}
        Object(const Object&) = delete;
        Object& operator=(const Object&) = delete;
        ~Object() { type->destroy(object); }
    };
    using ObjectPtr = std::shared_ptr<Object>;

    void accept(const detail::QueueMessage& message);
    void serve(const Client& client);
    void answer_all(const Client& client);
    void answer(InputBuffer in, OutputBuffer& out);
    void call_method(std::uint64_t id, InputBuffer& in, OutputBuffer& out);
    void run_task(InputBuffer& in, OutputBuffer& out);
    void forget_client(const Client& client) noexcept;
    void collect();
    void destroy(std::vector<ObjectPtr> objects);
    void destroy_all();
    ObjectPtr find_object(std::uint64_t id) const;

    ManagerLane accepting_;
    ManagerAddress address_;
    std::atomic<bool> is_stopping_{false};
    std::uint64_t clients_ = 0;
    mutable std::shared_mutex mutex_;
    std::unordered_map<std::uint64_t, ObjectPtr> objects_;   // by the packed Ref of what stands for them
    std::unordered_map<std::uint64_t, ObjectPtr> holdable_;  // those of them that clients can hold
    std::chrono::steady_clock::time_point next_collection_{};

    // Destructors of users' classes run in a thread of their own, as they may wait, and call.
    std::mutex dying_mutex_;
    std::condition_variable dying_changed_;
    std::vector<ObjectPtr> dying_;
    bool is_destroying_ = false;
};

// What the server's process runs.
void run_manager_server(ManagerLane accepting, Connection<int, std::uint64_t> owner);

}  // namespace multiproc
