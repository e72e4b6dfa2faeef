#include <multiproc/namespace_proxy.hpp>

#include <ostream>

#include <multiproc/detail/represent.hpp>
#include <multiproc/manager.hpp>

#include "served_methods.hpp"

namespace multiproc {

namespace detail {

const Any& ServedNamespace::get(const std::string& name) const {
    const auto found = attributes_.find(name);
    if (found == attributes_.end()) throw_no_attribute(name);
    return found->second;
}
void ServedNamespace::set(std::string name, Any value) {
    attributes_.insert_or_assign(std::move(name), std::move(value));
}
bool ServedNamespace::contains(const std::string& name) const { return attributes_.contains(name); }
void ServedNamespace::erase(const std::string& name) {
    if (attributes_.erase(name) == 0) throw_no_attribute(name);
}
std::vector<std::pair<std::string, Any>> ServedNamespace::items() const {
    return {attributes_.begin(), attributes_.end()};
}

}  // namespace detail

Any NamespaceProxy::get(const std::string& name) const { return call<&Object::get>(name); }
void NamespaceProxy::set(const std::string& name, const Any& value) const { call<&Object::set>(name, value); }
bool NamespaceProxy::contains(const std::string& name) const { return call<&Object::contains>(name); }
void NamespaceProxy::erase(const std::string& name) const { call<&Object::erase>(name); }
std::vector<std::pair<std::string, Any>> NamespaceProxy::items() const { return call<&Object::items>(); }

std::string NamespaceProxy::repr() const {
    std::string text;
    for (const auto& [name, value] : items()) text += (text.empty() ? "" : ", ") + name + "=" + value.repr();
    return "Namespace(" + text + ")";
}
std::ostream& operator<<(std::ostream& out, const NamespaceProxy& names) { return out << names.repr(); }

NamespaceProxy Manager::make_namespace() const { return made<NamespaceProxy>(); }

}  // namespace multiproc
