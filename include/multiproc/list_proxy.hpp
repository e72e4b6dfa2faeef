/// @file
/// A list that all processes share.
///
/// ```cpp
/// void collect(multiproc::ListProxy<std::string> names, int number) { names.append(std::to_string(number)); }
///
/// multiproc::Manager manager;
/// auto names = manager.list<std::string>({"first"});
/// multiproc::Pool pool;
/// pool.starmap(collect, std::vector{std::tuple(names, 1), std::tuple(names, 2)});
/// std::cout << names.at(-1) << '\n';                            // from the end
/// ```
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/any.hpp>
#include <multiproc/detail/proxy_item.hpp>
#include <multiproc/detail/served_list.hpp>
#include <multiproc/detail/snapshot.hpp>
#include <multiproc/proxy.hpp>

namespace multiproc {

/// Made by `Manager::list`. Each call is one step for everybody. Values are copies, but for proxies, through which what they
/// refer to is changed in place. A negative index counts from the end. All functions are thread-safe and throw what
/// Proxy::call throws, and std::out_of_range for an index that is not there.
/// Source: Python's list, over `SyncManager.list`.
template <class T>
class ListProxy final : public Proxy<detail::ServedList<T>> {
    using Base = Proxy<detail::ServedList<T>>;
    using List = detail::ServedList<T>;

public:
    using value_type = T;
    using Index = std::int64_t;

    std::size_t size() const { return static_cast<std::size_t>(this->template call<&List::size>()); }
    bool empty() const { return size() == 0; }
    T at(Index index) const { return this->template call<&List::at>(index); }
    void set(Index index, const T& value) const { this->template call<&List::set>(index, value); }

    /// Read, it is `at`; assigned to, it is `set`.
    using Item = detail::ProxyItem<ListProxy, Index, T>;
    Item operator[](Index index) const { return Item(*this, index); }

    /// The elements from `first` to before `last`, as far as they are there: `slice(-3)` is the last three.
    std::vector<T> slice(Index first, Index last = INT64_MAX) const {
        return this->template call<&List::slice>(first, last);
    }
    /// Puts others in their place, which may be more or fewer.
    void set_slice(Index first, Index last, const std::vector<T>& values) const {
        this->template call<&List::set_slice>(first, last, values);
    }
    void insert(Index index, const T& value) const { this->template call<&List::insert>(index, value); }
    void append(const T& value) const { this->template call<&List::append>(value); }
    void push_back(const T& value) const { append(value); }
    template <class Range = std::vector<T>>
    void extend(const Range& values) const {
        this->template call<&List::extend>(std::vector<T>(std::begin(values), std::end(values)));
    }
    /// Takes an element out. Throws std::out_of_range if it is not there.
    T pop(Index index = -1) const { return this->template call<&List::pop>(index); }
    void clear() const { this->template call<&List::clear>(); }
    void reverse() const { this->template call<&List::reverse>(); }

    /// Takes the first element with this value out. Throws std::invalid_argument if there is none.
    void remove(const T& value) const
        requires detail::is_comparable<T>
    {
        this->template call<&List::remove>(value);
    }
    std::size_t count(const T& value) const
        requires detail::is_comparable<T>
    {
        return static_cast<std::size_t>(this->template call<&List::count>(value));
    }
    /// Where the first element with this value is. Throws std::invalid_argument if there is none.
    std::size_t index(const T& value) const
        requires detail::is_comparable<T>
    {
        return static_cast<std::size_t>(this->template call<&List::index>(value));
    }
    /// Equal elements keep their order.
    void sort(bool reverse = false) const
        requires detail::is_ordered<T>
    {
        this->template call<&List::sort>(reverse);
    }

    /// What there is at the moment. A loop over the list is one over `copy()`.
    std::vector<T> copy() const { return slice(0); }
    auto begin() const { return detail::SnapshotIterator<T>(copy()); }
    auto end() const { return detail::SnapshotIterator<T>(); }

    /// All of it as Python writes it: `[1, 'two']`.
    std::string repr() const { return detail::represent(copy()); }
    friend std::ostream& operator<<(std::ostream& out, const ListProxy& list) { return out << list.repr(); }

private:
    friend struct detail::ProxyAccess;
    using Base::Base;
};

}  // namespace multiproc
