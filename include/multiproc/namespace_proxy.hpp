/// @file
/// Values of any kind, by name, of a manager.
///
/// ```cpp
/// multiproc::Manager manager;
/// multiproc::NamespaceProxy settings = manager.make_namespace();
/// settings["name"] = "optimizer";
/// settings["limit"] = 10;
/// const int limit = settings.get("limit").as<int>();
/// std::cout << settings << '\n';                  // Namespace(limit=10, name='optimizer')
/// ```
#pragma once

#include <iosfwd>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/any.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/proxy_item.hpp>
#include <multiproc/proxy.hpp>

namespace multiproc {

namespace detail {

class ServedNamespace {
public:
    const Any& get(const std::string& name) const;
    void set(std::string name, Any value);
    bool contains(const std::string& name) const;
    void erase(const std::string& name);
    std::vector<std::pair<std::string, Any>> items() const;

private:
    std::map<std::string, Any> attributes_;
};

}  // namespace detail

/// All functions are thread-safe and throw what Proxy::call throws.
/// Source: Python's `SyncManager.Namespace`; attributes are `n["x"]`, since C++ cannot make members up.
class MULTIPROC_API NamespaceProxy final : public Proxy<detail::ServedNamespace> {
public:
    /// Throws std::out_of_range if there is none of that name.
    Any get(const std::string& name) const;
    void set(const std::string& name, const Any& value) const;
    bool contains(const std::string& name) const;
    /// Throws std::out_of_range if there is none of that name.
    void erase(const std::string& name) const;
    /// All of them, in the order of their names.
    std::vector<std::pair<std::string, Any>> items() const;

    /// Read, it is `get`; assigned to, it is `set`; `n["x"].as<int>()` is the value as a type of its own.
    using Attribute = detail::ProxyItem<NamespaceProxy, std::string, Any>;
    Attribute operator[](std::string name) const { return Attribute(*this, std::move(name)); }

    /// As Python writes it: `Namespace(x=10, y='hello')`.
    std::string repr() const;
    friend MULTIPROC_API std::ostream& operator<<(std::ostream& out, const NamespaceProxy& names);

private:
    friend struct detail::ProxyAccess;
    using Proxy::Proxy;
};

}  // namespace multiproc
