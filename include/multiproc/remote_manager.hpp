/// @file
/// A manager's objects for programs on other machines.
///
/// ```cpp
/// // here
/// multiproc::Manager manager;
/// auto jobs = manager.queue<std::string>();
/// multiproc::ManagerService service({.address = "0.0.0.0", .port = 50000, .key = key});   // loopback unless told otherwise
/// service.publish("jobs", jobs);
///
/// // there
/// multiproc::RemoteManager remote({.address = "192.168.0.7", .port = 50000, .key = key});
/// auto jobs = remote.get<multiproc::QueueProxy<std::string>>("jobs");
/// std::string job = jobs.get();                       // waits in the manager's server
/// ```
///
/// A proxy from a RemoteManager does what one of this machine does, with calls over the connections of network.hpp, whose
/// promises and limits are those of these, too: both sides prove that they have the key, and nothing is encrypted. Who has
/// the key can call everything that is published, and whatever that leads to; and where something that is published takes a
/// proxy, one that is made up can name any object of the program's managers. So the key is for those who may reach all of
/// them. Such a proxy can be an argument of its own manager's calls, and nothing else: it cannot travel to other processes;
/// connect there.
///
/// Each thread that calls has a connection of its own, so a call that waits holds up no other. What a client holds (locks, a
/// place in a queue) is free when its connection is gone. An item that a queue gives to a client in the moment in which that
/// ends is lost with it.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <typeinfo>

#include <multiproc/network.hpp>
#include <multiproc/proxy.hpp>

namespace multiproc {

/// Serves proxies under names. All functions are thread-safe. It belongs to the process that made it; the manager may be
/// another's.
/// Source: `get_server` of Python's `BaseManager`.
class MULTIPROC_NETWORK_API ManagerService {
public:
    /// Listens when it returns. Throws what Listener throws.
    explicit ManagerService(ListenerOptions options);
    /// As `close`.
    ~ManagerService();
    ManagerService(const ManagerService&) = delete;
    ManagerService& operator=(const ManagerService&) = delete;

    /// Clients get the object by this name from now on, in the place of what had the name before.
    template <std::derived_from<detail::ProxyBase> P>
    void publish(const std::string& name, const P& proxy) {
        publish_target(name, detail::ProxyAccess::target(proxy), typeid(typename P::Object));
    }
    /// Nobody else does. Who has it keeps it. Returns whether there was one.
    bool withdraw(const std::string& name);

    std::string address() const;
    std::uint16_t port() const;
    /// Ends all connections. Calls of clients throw ClosedError from then on.
    void close() noexcept;

private:
    void publish_target(const std::string& name, std::shared_ptr<const detail::ProxyTarget> target,
                        const std::type_info& type);
    class State;
    std::unique_ptr<State> state_;
};

/// A client of a ManagerService. All functions are thread-safe. Source: `connect` of Python's `BaseManager`.
class MULTIPROC_NETWORK_API RemoteManager {
public:
    /// Throws what `connect` throws (network.hpp).
    explicit RemoteManager(const ConnectOptions& options);

    /// A proxy of what is published as `name`. Throws std::out_of_range if nothing is, std::invalid_argument if it is of
    /// another type, ClosedError if the service has gone.
    template <std::derived_from<detail::ProxyBase> P>
    P get(const std::string& name) const {
        return detail::ProxyAccess::make<P>(get_target(name, typeid(typename P::Object)));
    }

private:
    std::shared_ptr<const detail::ProxyTarget> get_target(const std::string& name, const std::type_info& type) const;
    class Link;
    friend class RemoteTarget;
    std::shared_ptr<Link> link_;
};

}  // namespace multiproc
