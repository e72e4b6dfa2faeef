// The list in a manager's server. Internal.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <multiproc/detail/comparable.hpp>
#include <multiproc/detail/represent.hpp>
#include <multiproc/proxy.hpp>

namespace multiproc::detail {

/// Indexes count from the end if they are negative, as in Python.
template <class T>
class ServedList {
public:
    using Items = std::vector<T>;

    ServedList() = default;
    explicit ServedList(Items items) : items_(std::move(items)) {}

    std::uint64_t size() const { return items_.size(); }
    T at(std::int64_t index) const { return items_[require(index)]; }
    void set(std::int64_t index, T value) { items_[require(index)] = std::move(value); }
    /// Never an error: what lies outside is not there.
    Items slice(std::int64_t first, std::int64_t last) const {
        const auto [begin, end] = range(first, last);
        return Items(items_.begin() + begin, items_.begin() + end);
    }
    void set_slice(std::int64_t first, std::int64_t last, const Items& values) {
        const auto [begin, end] = range(first, last);
        Items all(items_.begin(), items_.begin() + begin);  // so that nothing is lost if this throws
        all.insert(all.end(), values.begin(), values.end());
        all.insert(all.end(), items_.begin() + end, items_.end());
        items_.swap(all);
    }
    void insert(std::int64_t index, T value) {
        items_.insert(items_.begin() + range(index, index).first, std::move(value));
    }
    void append(T value) { items_.push_back(std::move(value)); }
    void extend(const Items& values) { items_.insert(items_.end(), values.begin(), values.end()); }
    T pop(std::int64_t index) {
        if (items_.empty()) throw_empty("list");
        const auto place = items_.begin() + static_cast<std::ptrdiff_t>(require(index));
        T value = std::move(*place);
        items_.erase(place);
        return value;
    }
    void clear() { items_.clear(); }
    void reverse() { std::reverse(items_.begin(), items_.end()); }

    void remove(const T& value) { items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(index(value))); }
    std::uint64_t count(const T& value) const {
        if constexpr (is_comparable<T>) {
            return static_cast<std::uint64_t>(std::count(items_.begin(), items_.end(), value));
        } else {
            return 0;  // no proxy asks for it
        }
    }
    std::uint64_t index(const T& value) const {
        if constexpr (is_comparable<T>) {
            const auto found = std::find(items_.begin(), items_.end(), value);
            if (found != items_.end()) return static_cast<std::uint64_t>(found - items_.begin());
        }
        throw_no_value(represent(value));
    }
    void sort(bool is_reversed) {
        if constexpr (is_ordered<T>) {
            Items sorted = items_;  // a comparison may throw, half-way
            // Stable both ways, as in Python.
            if (is_reversed) {
                std::stable_sort(sorted.begin(), sorted.end(), [](const T& a, const T& b) { return b < a; });
            } else {
                std::stable_sort(sorted.begin(), sorted.end());
            }
            items_.swap(sorted);
        }
    }

private:
    std::size_t require(std::int64_t index) const {
        const auto size = static_cast<std::int64_t>(items_.size());
        const std::int64_t place = index < 0 ? index + size : index;
        if (place < 0 || place >= size) throw_no_index(index, items_.size());
        return static_cast<std::size_t>(place);
    }
    std::pair<std::ptrdiff_t, std::ptrdiff_t> range(std::int64_t first, std::int64_t last) const {
        const auto size = static_cast<std::int64_t>(items_.size());
        const auto clamp = [size](std::int64_t index) {
            return static_cast<std::ptrdiff_t>(std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size));
        };
        return {clamp(first), std::max(clamp(first), clamp(last))};
    }

    Items items_;
};

}  // namespace multiproc::detail

namespace multiproc {

template <class T>
inline constexpr auto methods<detail::ServedList<T>> = [] {
    using List = detail::ServedList<T>;
    return method_list(method<&List::size>("size"), method<&List::at>("at"), method<&List::set>("set"),
                       method<&List::slice>("slice"), method<&List::set_slice>("set_slice"),
                       method<&List::insert>("insert"), method<&List::append>("append"),
                       method<&List::extend>("extend"), method<&List::pop>("pop"), method<&List::clear>("clear"),
                       method<&List::reverse>("reverse"), method<&List::remove>("remove"),
                       method<&List::count>("count"), method<&List::index>("index"), method<&List::sort>("sort"));
}();

}  // namespace multiproc
