// What `d[key]`, `l[index]` and `n["name"]` of proxies are: read, it is a call of `get` or `at`; assigned to, one of `set`.
// Internal.
#pragma once

#include <utility>

namespace multiproc::detail {

/// `Owner` is a proxy with `set(Key, Value)`, and `at(Key)` or else `get(Key)`, which gives a `Value`.
template <class Owner, class Key, class Value>
class ProxyItem {
public:
    ProxyItem(Owner owner, Key key) : owner_(std::move(owner)), key_(std::move(key)) {}
    ProxyItem(const ProxyItem&) = default;
    ~ProxyItem() = default;

    operator Value() const { return value(); }              // NOLINT(google-explicit-constructor)
    const ProxyItem& operator=(const Value& given) const {  // NOLINT(misc-unconventional-assign-operator)
        owner_.set(key_, given);
        return *this;
    }
    const ProxyItem& operator=(const ProxyItem& other) const {  // NOLINT
        return *this = other.value();
    }
    /// Where values are of any kind.
    template <class T>
    T as() const {
        return value().template as<T>();
    }

private:
    Value value() const {
        if constexpr (requires { owner_.at(key_); }) {
            return owner_.at(key_);
        } else {
            return owner_.get(key_);
        }
    }

    Owner owner_;
    Key key_;
};

}  // namespace multiproc::detail
