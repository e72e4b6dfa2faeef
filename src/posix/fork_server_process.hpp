// The fork server as an object: who asks it, for what, and which of its children they have.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fork_server.hpp"
#include "identity.hpp"
#include "request_queue.hpp"
#include "spare.hpp"

namespace multiproc::os::posix {

// What a new process finds that it is: with a line, a spare child, which still has to wait for its request.
struct NewChild {
    Bootstrap bootstrap;
    std::optional<SpareLine> line;
};

class Server {
public:
    Server(Bootstrap bootstrap, PreloadFunction preload);
    // Returns in a child.
    NewChild run();

private:
    struct Client {
        pid_t pid = 0;
        Handle requests, statuses;
        Handle end, leash_reader, leash_writer;  // see leash.hpp; none if it has no leash
        std::string leash_name;
        RequestQueue received;
        std::vector<unsigned char> unsent;  // statuses that the client's socket had no room for
        bool gone = false;                  // nothing more is heard of it, nor told to it
        bool left = false;                  // it said so
        std::size_t children = 0;           // of it, that are not reaped
        // The child that was forked ahead for it, until it says that it used it; and how that ended, should it have done
        // so by then. One that was not used is nobody's business.
        pid_t spare = 0;
        std::optional<ExitStatus> spare_end;
    };

    void admit();
    void reap();
    void end_children_of(const Client* client) noexcept;
    void forget_child(pid_t pid) noexcept;
    bool is_done() const noexcept;
    void send_statuses(Client& client) noexcept;
    void receive(Client& client);
    std::optional<NewChild> handle_requests(const std::shared_ptr<Client>& client);
    std::optional<NewChild> fork_for(const std::shared_ptr<Client>& client, ReceivedRequest request);
    std::optional<NewChild> fork_ahead_for(const std::shared_ptr<Client>& client, ReceivedRequest request);
    pid_t fork_child(const std::shared_ptr<Client>& client, std::optional<std::uint64_t> process_limit, Reply& reply,
                     Handle& end);
    void tell(Client& client, pid_t pid, ExitStatus status);
    static void take_over_process() noexcept;
    void run_preload(const ReceivedRequest& request) noexcept;

    pid_t owner_;
    Handle owner_end_;
    Handle door_inside_, door_;
    Identity identity_ = Identity::current();  // its children's
    Handle ended_reader_, ended_writer_;
    std::vector<std::shared_ptr<Client>> clients_;
    std::map<pid_t, std::shared_ptr<Client>> children_;  // null: nobody is told of its end
    PreloadFunction preload_;
    bool has_one_thread_ = false;  // until it runs something that could start another
};

// What a child does with its request; `next` is the first of its descriptors that is not used yet.
void unpack(ReceivedRequest& request, std::size_t next, Bootstrap& bootstrap);

}  // namespace multiproc::os::posix
