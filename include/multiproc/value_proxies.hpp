/// @file
/// Values, arrays and named attributes of a manager.
///
/// ```cpp
/// multiproc::Manager manager;
/// multiproc::ValueProxy<double> best = manager.value(1.0);
/// multiproc::ArrayProxy<int> counts = manager.array({0, 0, 0});
/// multiproc::NamespaceProxy settings = manager.make_namespace();
/// best.set(2.0);
/// counts.set(1, 5);
/// settings["name"] = "optimizer";
/// settings["limit"] = 10;
/// const int limit = settings.get("limit").as<int>();
/// ```
///
/// Where only processes of one machine are to see them, Value and Array (value.hpp) are quicker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/any.hpp>
#include <multiproc/detail/represent.hpp>
#include <multiproc/detail/served_list.hpp>
#include <multiproc/detail/snapshot.hpp>
#include <multiproc/proxy.hpp>

namespace multiproc {

namespace detail {

template <class T>
class ServedValue {
public:
    explicit ServedValue(T value) : value_(std::move(value)) {}
    const T& get() const { return value_; }
    void set(T value) { value_ = std::move(value); }

private:
    T value_;
};

/// As many elements as it was made with.
template <class T>
class ServedArray {
public:
    explicit ServedArray(std::vector<T> values) : list_(std::move(values)) {}
    std::uint64_t size() const { return list_.size(); }
    T at(std::int64_t index) const { return list_.at(index); }
    void set(std::int64_t index, T value) { list_.set(index, std::move(value)); }
    std::vector<T> slice(std::int64_t first, std::int64_t last) const { return list_.slice(first, last); }

private:
    ServedList<T> list_;
};

class ServedNamespace {
public:
    const Any& get(const std::string& name) const {
        const auto found = attributes_.find(name);
        if (found == attributes_.end()) throw_no_attribute(name);
        return found->second;
    }
    void set(std::string name, Any value) { attributes_.insert_or_assign(std::move(name), std::move(value)); }
    bool contains(const std::string& name) const { return attributes_.contains(name); }
    void erase(const std::string& name) {
        if (attributes_.erase(name) == 0) throw_no_attribute(name);
    }
    std::vector<std::pair<std::string, Any>> items() const { return {attributes_.begin(), attributes_.end()}; }

private:
    std::map<std::string, Any> attributes_;
};

}  // namespace detail

template <class T>
inline constexpr auto methods<detail::ServedValue<T>> =
    method_list(method<&detail::ServedValue<T>::get>("get"), method<&detail::ServedValue<T>::set>("set"));
template <class T>
inline constexpr auto methods<detail::ServedArray<T>> =
    method_list(method<&detail::ServedArray<T>::size>("size"), method<&detail::ServedArray<T>::at>("at"),
                method<&detail::ServedArray<T>::set>("set"), method<&detail::ServedArray<T>::slice>("slice"));
template <>
inline constexpr auto methods<detail::ServedNamespace> =
    method_list(method<&detail::ServedNamespace::get>("get"), method<&detail::ServedNamespace::set>("set"),
                method<&detail::ServedNamespace::contains>("contains"),
                method<&detail::ServedNamespace::erase>("erase"), method<&detail::ServedNamespace::items>("items"));

/// One value. All functions are thread-safe and throw what Proxy::call throws. Source: Python's `SyncManager.Value`.
template <class T>
class ValueProxy final : public Proxy<detail::ServedValue<T>> {
    using Base = Proxy<detail::ServedValue<T>>;

public:
    T get() const { return this->template call<&detail::ServedValue<T>::get>(); }
    void set(const T& value) const { this->template call<&detail::ServedValue<T>::set>(value); }

private:
    friend struct detail::ProxyAccess;
    using Base::Base;
};

/// A fixed number of values. All functions are thread-safe and throw what Proxy::call throws, and std::out_of_range for an
/// index that is not there; a negative one counts from the end. Source: Python's `SyncManager.Array`.
template <class T>
class ArrayProxy final : public Proxy<detail::ServedArray<T>> {
    using Base = Proxy<detail::ServedArray<T>>;
    using Array = detail::ServedArray<T>;

public:
    using value_type = T;

    std::size_t size() const { return static_cast<std::size_t>(this->template call<&Array::size>()); }
    T at(std::int64_t index) const { return this->template call<&Array::at>(index); }
    void set(std::int64_t index, const T& value) const { this->template call<&Array::set>(index, value); }
    std::vector<T> slice(std::int64_t first, std::int64_t last = INT64_MAX) const {
        return this->template call<&Array::slice>(first, last);
    }
    std::vector<T> copy() const { return slice(0); }
    auto begin() const { return detail::SnapshotIterator<T>(copy()); }
    auto end() const { return detail::SnapshotIterator<T>(); }

private:
    friend struct detail::ProxyAccess;
    using Base::Base;
};

/// Values of any kind, by name. All functions are thread-safe and throw what Proxy::call throws.
/// Source: Python's `SyncManager.Namespace`; attributes are `n["x"]`, since C++ cannot make members up.
class NamespaceProxy final : public Proxy<detail::ServedNamespace> {
public:
    /// Throws std::out_of_range if there is none of that name.
    Any get(const std::string& name) const { return call<&Object::get>(name); }
    void set(const std::string& name, const Any& value) const { call<&Object::set>(name, value); }
    bool contains(const std::string& name) const { return call<&Object::contains>(name); }
    /// Throws std::out_of_range if there is none of that name.
    void erase(const std::string& name) const { call<&Object::erase>(name); }
    /// All of them, in the order of their names.
    std::vector<std::pair<std::string, Any>> items() const { return call<&Object::items>(); }

    /// What `n[name]` is: read, it is `get`; assigned to, it is `set`.
    class Attribute {
    public:
        operator Any() const { return owner_.get(name_); }  // NOLINT(google-explicit-constructor)
        template <class T>
        T as() const {
            return owner_.get(name_).as<T>();
        }
        const Attribute& operator=(const Any& value) const {  // NOLINT(misc-unconventional-assign-operator)
            owner_.set(name_, value);
            return *this;
        }
        const Attribute& operator=(const Attribute& other) const {  // NOLINT
            return *this = static_cast<Any>(other);
        }
        Attribute(const Attribute&) = default;
        ~Attribute() = default;

    private:
        friend class NamespaceProxy;
        Attribute(const NamespaceProxy& owner, std::string name);
        const NamespaceProxy& owner_;
        std::string name_;
    };
    Attribute operator[](std::string name) const { return Attribute(*this, std::move(name)); }

    /// As Python writes it: `Namespace(x=10, y='hello')`.
    std::string repr() const {
        std::string text;
        for (const auto& [name, value] : items()) text += (text.empty() ? "" : ", ") + name + "=" + value.repr();
        return "Namespace(" + text + ")";
    }
    friend MULTIPROC_API std::ostream& operator<<(std::ostream& out, const NamespaceProxy& names);

private:
    friend struct detail::ProxyAccess;
    using Proxy::Proxy;
};

inline NamespaceProxy::Attribute::Attribute(const NamespaceProxy& owner, std::string name)
    : owner_(owner), name_(std::move(name)) {}

}  // namespace multiproc
