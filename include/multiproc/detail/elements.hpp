/// @file
/// Access to the elements of an array in shared memory. Internal; its members are those of SharedArray, RawArray and Array.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>

namespace multiproc::detail {

/// The elements can be changed through a const array too: it is a handle, as a std::span is.
template <class T>
class Elements {
public:
    using value_type = T;
    using iterator = T*;

    T* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    T* begin() const noexcept { return data_; }
    T* end() const noexcept { return data_ + size_; }
    T& operator[](std::size_t index) const noexcept { return data_[index]; }
    /// Throws std::out_of_range.
    T& at(std::size_t index) const {
        if (index >= size_)
            throw std::out_of_range("multiproc: element " + std::to_string(index) + " of a shared array of " +
                                    std::to_string(size_));
        return data_[index];
    }
    T& front() const noexcept { return data_[0]; }
    T& back() const noexcept { return data_[size_ - 1]; }
    operator std::span<T>() const noexcept { return {data_, size_}; }        // NOLINT(google-explicit-constructor)
    operator std::span<const T>() const noexcept { return {data_, size_}; }  // NOLINT(google-explicit-constructor)

protected:
    Elements() noexcept = default;
    Elements(T* data, std::size_t size) noexcept : data_(data), size_(size) {}

    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace multiproc::detail
