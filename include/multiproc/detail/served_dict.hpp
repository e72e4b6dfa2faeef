// The dict in a manager's server. Internal.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <multiproc/detail/comparable.hpp>
#include <multiproc/detail/represent.hpp>
#include <multiproc/proxy.hpp>

namespace multiproc::detail {

template <class K>
concept Hashable = is_comparable<K> && requires(const K& key) {
    { std::hash<K>{}(key) } -> std::convertible_to<std::size_t>;
};

template <class K>
struct PointeeHash {
    std::size_t operator()(const K* key) const { return std::hash<K>{}(*key); }
};
template <class K>
struct PointeeEqual {
    // An item's own key is itself, whatever `==` says: NaN is not equal to NaN.
    bool operator()(const K* a, const K* b) const { return a == b || *a == *b; }
};
template <class K>
struct PointeeLess {
    bool operator()(const K* a, const K* b) const { return *a < *b; }
};

/// Keeps the order of insertion, as Python's does. Keys need a hash or an order.
template <class K, class V>
class ServedDict {
    using Items = std::list<std::pair<const K, V>>;
    using Place = typename Items::iterator;
    template <class Key>
    struct IndexOf {
        using type = std::map<const Key*, Place, PointeeLess<Key>>;
    };
    template <Hashable Key>
    struct IndexOf<Key> {
        using type = std::unordered_map<const Key*, Place, PointeeHash<Key>, PointeeEqual<Key>>;
    };

public:
    using Pairs = std::vector<std::pair<K, V>>;

    ServedDict() = default;
    explicit ServedDict(const Pairs& items) { update(items); }

    std::uint64_t size() const { return items_.size(); }
    bool contains(const K& key) const { return index_.contains(&key); }
    std::optional<V> find(const K& key) const {
        const auto found = index_.find(&key);
        return found == index_.end() ? std::nullopt : std::optional<V>(found->second->second);
    }
    const V& at(const K& key) const {
        const auto found = index_.find(&key);
        if (found == index_.end()) throw_no_key(represent(key));
        return found->second->second;
    }
    void set(K key, V value) {
        if (const auto found = index_.find(&key); found != index_.end()) {
            found->second->second = std::move(value);
        } else {
            add(std::move(key), std::move(value));
        }
    }
    const V& set_default(K key, V value) {
        const auto found = index_.find(&key);
        return found != index_.end() ? found->second->second : add(std::move(key), std::move(value));
    }
    bool erase(const K& key) { return pop(key).has_value(); }
    std::optional<V> pop(const K& key) {
        const auto found = index_.find(&key);
        if (found == index_.end()) return std::nullopt;
        return take(found);
    }
    V require_pop(const K& key) {
        const auto found = index_.find(&key);
        if (found == index_.end()) throw_no_key(represent(key));
        return take(found);
    }
    std::pair<K, V> pop_item() {
        if (items_.empty()) throw_empty("dict");
        const Place last = std::prev(items_.end());
        auto found = index_.find(&last->first);
        if (found == index_.end() || found->second != last)  // keys without a sound order
            found = std::find_if(index_.begin(), index_.end(), [&](const auto& entry) { return entry.second == last; });
        std::pair<K, V> item = *last;
        index_.erase(found);
        items_.erase(last);
        return item;
    }
    void update(const Pairs& items) {
        for (const auto& [key, value] : items) set(key, value);
    }
    void clear() {
        index_.clear();
        items_.clear();
    }
    std::vector<K> keys() const {
        std::vector<K> all;
        all.reserve(items_.size());
        for (const auto& item : items_) all.push_back(item.first);
        return all;
    }
    std::vector<V> values() const {
        std::vector<V> all;
        all.reserve(items_.size());
        for (const auto& item : items_) all.push_back(item.second);
        return all;
    }
    Pairs items() const { return Pairs(items_.begin(), items_.end()); }

private:
    const V& add(K key, V value) {
        const Place place = items_.emplace(items_.end(), std::move(key), std::move(value));
        try {
            index_.emplace(&place->first, place);
        } catch (...) {
            items_.erase(place);
            throw;
        }
        return place->second;
    }
    template <class Found>
    V take(Found found) {
        const Place place = found->second;
        V value = std::move(place->second);
        index_.erase(found);  // it looks at the key
        items_.erase(place);
        return value;
    }

    Items items_;
    typename IndexOf<K>::type index_;
};

}  // namespace multiproc::detail

namespace multiproc {

template <class K, class V>
inline constexpr auto methods<detail::ServedDict<K, V>> = [] {
    using Dict = detail::ServedDict<K, V>;
    return method_list(method<&Dict::size>("size"), method<&Dict::contains>("contains"), method<&Dict::find>("find"),
                       method<&Dict::at>("at"), method<&Dict::set>("set"), method<&Dict::set_default>("set_default"),
                       method<&Dict::erase>("erase"), method<&Dict::pop>("pop"),
                       method<&Dict::require_pop>("require_pop"), method<&Dict::pop_item>("pop_item"),
                       method<&Dict::update>("update"), method<&Dict::clear>("clear"), method<&Dict::keys>("keys"),
                       method<&Dict::values>("values"), method<&Dict::items>("items"));
}();

}  // namespace multiproc
