/// @file
/// A dict that all processes share.
///
/// ```cpp
/// void worker(int number, multiproc::DictProxy<int, int> results) { results[number] = number * number; }
///
/// multiproc::Manager manager;
/// auto results = manager.dict<int, int>();
/// multiproc::Process process(worker, 4, results);
/// process.start();
/// process.join();
/// for (const auto& [number, square] : results) std::cout << number << ": " << square << '\n';
/// ```
#pragma once

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/any.hpp>
#include <multiproc/detail/proxy_item.hpp>
#include <multiproc/detail/served_dict.hpp>
#include <multiproc/detail/snapshot.hpp>
#include <multiproc/proxy.hpp>

namespace multiproc {

/// Made by `Manager::dict`. Each call is one step for everybody: what takes several (`d[k] = d[k] + 1`) needs a lock. Values
/// are copies, but for proxies, through which what they refer to is changed in place. All functions are thread-safe and
/// throw what Proxy::call throws.
/// Source: Python's dict, over `SyncManager.dict`; the items are in the order of their insertion.
template <class K, class V>
class DictProxy final : public Proxy<detail::ServedDict<K, V>> {
    using Base = Proxy<detail::ServedDict<K, V>>;
    using Dict = detail::ServedDict<K, V>;

public:
    using key_type = K;
    using mapped_type = V;
    using value_type = std::pair<K, V>;
    using Pairs = std::vector<value_type>;

    std::size_t size() const { return static_cast<std::size_t>(this->template call<&Dict::size>()); }
    bool empty() const { return size() == 0; }
    bool contains(const K& key) const { return this->template call<&Dict::contains>(key); }

    /// The value. Throws std::out_of_range if there is no such key.
    V at(const K& key) const { return this->template call<&Dict::at>(key); }
    /// The value, if there is such a key.
    std::optional<V> get(const K& key) const { return this->template call<&Dict::find>(key); }
    /// The value, or `otherwise`.
    V get(const K& key, V otherwise) const { return get(key).value_or(std::move(otherwise)); }
    void set(const K& key, const V& value) const { this->template call<&Dict::set>(key, value); }
    /// The value; where there is none, it is `value` from then on.
    V setdefault(const K& key, const V& value) const { return this->template call<&Dict::set_default>(key, value); }

    /// Read, it is `at`; assigned to, it is `set`.
    using Item = detail::ProxyItem<DictProxy, K, V>;
    Item operator[](K key) const { return Item(*this, std::move(key)); }

    /// Returns whether there was such a key.
    bool erase(const K& key) const { return this->template call<&Dict::erase>(key); }
    /// Takes a value out. Throws std::out_of_range if there is no such key.
    V pop(const K& key) const { return this->template call<&Dict::require_pop>(key); }
    V pop(const K& key, V otherwise) const {
        return this->template call<&Dict::pop>(key).value_or(std::move(otherwise));
    }
    /// Takes the last item out. Throws std::out_of_range if there is none.
    value_type popitem() const { return this->template call<&Dict::pop_item>(); }
    /// Sets all of them: of a map, a vector of pairs, or whatever else pairs can be made from.
    template <class Range = Pairs>
    void update(const Range& items) const {
        this->template call<&Dict::update>(Pairs(std::begin(items), std::end(items)));
    }
    void clear() const { this->template call<&Dict::clear>(); }

    /// What there is at the moment. A loop over the dict is one over `items()`.
    std::vector<K> keys() const { return this->template call<&Dict::keys>(); }
    std::vector<V> values() const { return this->template call<&Dict::values>(); }
    Pairs items() const { return this->template call<&Dict::items>(); }
    Pairs copy() const { return items(); }
    auto begin() const { return detail::SnapshotIterator<value_type>(items()); }
    auto end() const { return detail::SnapshotIterator<value_type>(); }

    /// All of it as Python writes it: `{1: 'one'}`.
    std::string repr() const {
        std::string text;
        for (const auto& [key, value] : items())
            text += (text.empty() ? "" : ", ") + detail::represent(key) + ": " + detail::represent(value);
        return "{" + text + "}";
    }
    friend std::ostream& operator<<(std::ostream& out, const DictProxy& dict) { return out << dict.repr(); }

private:
    friend struct detail::ProxyAccess;
    using Base::Base;
};

}  // namespace multiproc
