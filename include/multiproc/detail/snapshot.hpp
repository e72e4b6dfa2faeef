// What a loop over a managed container runs over: a copy of its contents at that moment. Internal.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace multiproc::detail {

template <class T>
class SnapshotIterator {
public:
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    // A std::vector<bool> has no bools that could be referred to.
    using reference = std::conditional_t<std::is_same_v<T, bool>, bool, const T&>;
    using pointer = const T*;

    SnapshotIterator() = default;
    explicit SnapshotIterator(std::vector<T> values) {
        if (!values.empty()) values_ = std::make_shared<const std::vector<T>>(std::move(values));
    }

    reference operator*() const { return (*values_)[index_]; }
    pointer operator->() const
        requires(!std::is_same_v<T, bool>)
    {
        return &(*values_)[index_];
    }
    SnapshotIterator& operator++() {
        if (++index_ == values_->size()) *this = {};
        return *this;
    }
    SnapshotIterator operator++(int) {
        SnapshotIterator before = *this;
        ++*this;
        return before;
    }
    friend bool operator==(const SnapshotIterator&, const SnapshotIterator&) = default;

private:
    std::shared_ptr<const std::vector<T>> values_;  // null at the end
    std::size_t index_ = 0;
};

}  // namespace multiproc::detail
