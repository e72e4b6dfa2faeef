/// @file
/// Values and arrays of a manager.
///
/// ```cpp
/// multiproc::Manager manager;
/// multiproc::ValueProxy<double> best = manager.value(1.0);
/// multiproc::ArrayProxy<int> counts = manager.array({0, 0, 0});
/// best.set(2.0);
/// counts.set(1, 5);
/// ```
///
/// Where only processes of one machine are to see them, Value and Array (value.hpp) are quicker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

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

}  // namespace detail

template <class T>
inline constexpr auto methods<detail::ServedValue<T>> =
    method_list(method<&detail::ServedValue<T>::get>("get"), method<&detail::ServedValue<T>::set>("set"));
template <class T>
inline constexpr auto methods<detail::ServedArray<T>> =
    method_list(method<&detail::ServedArray<T>::size>("size"), method<&detail::ServedArray<T>::at>("at"),
                method<&detail::ServedArray<T>::set>("set"), method<&detail::ServedArray<T>::slice>("slice"));
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

}  // namespace multiproc
