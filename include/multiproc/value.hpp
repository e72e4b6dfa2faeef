/// @file
/// Single values and arrays in memory that processes and threads share.
///
/// ```cpp
/// void deposit(multiproc::Value<double> balance, double amount) {
///     const std::scoped_lock guard(balance.get_lock());
///     *balance += amount;
/// }
///
/// multiproc::Value balance(0.0);                    // with a lock of its own
/// multiproc::Array<int> squares(10);                // zeros
/// multiproc::RawValue<int> flag(0);                 // without a lock
/// ```
///
/// All are handles: copies refer to the same memory, in this process and in every other one that was given them, as an
/// argument or result of a task, inside containers and aggregates, under every start method. What they refer to is gone
/// with the last handle of all processes.
///
/// The elements are numbers, enums, or made of such without pointers. Two tasks that use the same element at the same
/// time race as two threads would: hold the lock, or use `std::atomic_ref`. For arrays of megabytes SharedArray serves
/// better: all of these together have a gigabyte.
///
/// Source: Python's `multiprocessing.Value`, `Array`, `RawValue` and `RawArray`, without ctypes.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <multiproc/codec.hpp>
#include <multiproc/detail/elements.hpp>
#include <multiproc/detail/shared_handle.hpp>
#include <multiproc/lock.hpp>

namespace multiproc {

namespace detail {

template <class T>
constexpr void check_shared_element() {
    static_assert(std::is_same_v<T, std::remove_cv_t<T>>, "multiproc: leave const and volatile out");
    static_assert(
        codec::bits<T>,
        "multiproc: shared values must be such that their bytes mean the same in every process: numbers, enums, "
        "and structs and std::arrays of these; or opt in with multiproc::bitwise<T>");
    static_assert(alignof(T) <= 64, "multiproc: shared values are aligned to 64 bytes at most");
}

/// The two kinds of locks, and nothing else.
template <class L>
concept SharedLock = std::same_as<L, Lock> || std::same_as<L, RLock>;

}  // namespace detail

/// One value, without a lock. Source: Python's `RawValue`.
template <class T>
class RawValue : public detail::SharedHandle {
public:
    using value_type = T;
    static constexpr detail::ObjectKind kind = detail::ObjectKind::data;

    /// A new one with this value. Throws std::bad_alloc or std::system_error if there is no shared memory left,
    /// BootstrapError without `freeze_support()`.
    explicit RawValue(const T& value = T{}) : RawValue(detail::OfObject{}, detail::make_object(kind, sizeof(T))) {
        *data_ = value;
    }

    /// The value itself. It can be changed through a const handle too.
    T& value() const noexcept { return *data_; }
    T& operator*() const noexcept { return *data_; }
    T* operator->() const noexcept { return data_; }

    static constexpr std::size_t state_size() noexcept { return sizeof(T); }

protected:
    friend struct detail::HandleAccess;
    RawValue(detail::OfObject, detail::ObjectRef object)
        : SharedHandle(std::move(object)), data_(std::launder(reinterpret_cast<T*>(state()))) {
        detail::check_shared_element<T>();
    }

private:
    T* data_;
};

/// `size()` elements, without a lock, to be used as a std::span; `at` is checked. Source: Python's `RawArray`.
template <class T>
class RawArray : public detail::SharedHandle, public detail::Elements<T> {
    using Base = detail::Elements<T>;

public:
    static constexpr detail::ObjectKind kind = detail::ObjectKind::data;

    /// `size` elements, all of whose bytes are zero. Throws as RawValue does.
    explicit RawArray(std::size_t size) : RawArray(detail::OfObject{}, detail::make_object(kind, bytes_of(size))) {}
    /// A copy of `values`. Throws as above.
    explicit RawArray(std::span<const T> values) : RawArray(values.size()) {
        std::copy(values.begin(), values.end(), this->data_);
    }
    RawArray(std::initializer_list<T> values) : RawArray(std::span<const T>(values.begin(), values.size())) {}

    static constexpr std::size_t state_size() noexcept { return 0; }

protected:
    friend struct detail::HandleAccess;
    RawArray(detail::OfObject, detail::ObjectRef object)
        : SharedHandle(std::move(object)),
          Base(reinterpret_cast<T*>(state()), detail::size_of(*this->object()) / sizeof(T)) {
        detail::check_shared_element<T>();
    }

private:
    static std::size_t bytes_of(std::size_t size) {
        if (size > SIZE_MAX / sizeof(T))
            throw std::length_error("multiproc: a shared array of " + std::to_string(size) + " elements is too large");
        return size * sizeof(T);
    }
};

/// One value with a lock: one of its own (an RLock), or a given Lock or RLock, which others may use too.
/// Source: Python's `Value`.
template <class T, class L = RLock>
class Value : public RawValue<T> {
    static_assert(detail::SharedLock<L>, "multiproc: the lock of a Value is a multiproc::Lock or multiproc::RLock");

public:
    /// A new one with this value. Throws as RawValue does.
    explicit Value(const T& value = T{}) : RawValue<T>(value) {}
    Value(const T& value, L lock) : RawValue<T>(value), lock_(std::move(lock)) {}

    const L& get_lock() const noexcept { return lock_; }
    /// A copy of the value, taken under the lock; and to replace it under the lock. To change what it is now, as in
    /// `+=`, hold the lock yourself.
    T get() const {
        const std::scoped_lock guard(lock_);
        return this->value();
    }
    void set(const T& value) const {
        const std::scoped_lock guard(lock_);
        this->value() = value;
    }

private:
    friend struct detail::codec::Coder<Value>;
    Value(RawValue<T> value, L lock) : RawValue<T>(std::move(value)), lock_(std::move(lock)) {}
    L lock_;
};

template <class T>
Value(T) -> Value<T>;
template <class T, class L>
Value(T, L) -> Value<T, L>;

/// An array with a lock: one of its own (an RLock), or a given one, which others may use too.
/// Source: Python's `Array`.
template <class T, class L = RLock>
class Array : public RawArray<T> {
    static_assert(detail::SharedLock<L>, "multiproc: the lock of an Array is a multiproc::Lock or multiproc::RLock");

public:
    /// `size` elements, all of whose bytes are zero. Throws as RawValue does.
    explicit Array(std::size_t size) : RawArray<T>(size) {}
    Array(std::size_t size, L lock) : RawArray<T>(size), lock_(std::move(lock)) {}
    /// A copy of `values`.
    explicit Array(std::span<const T> values) : RawArray<T>(values) {}
    Array(std::span<const T> values, L lock) : RawArray<T>(values), lock_(std::move(lock)) {}
    Array(std::initializer_list<T> values) : RawArray<T>(values) {}
    Array(std::initializer_list<T> values, L lock) : RawArray<T>(values), lock_(std::move(lock)) {}

    const L& get_lock() const noexcept { return lock_; }

private:
    friend struct detail::codec::Coder<Array>;
    Array(RawArray<T> array, L lock) : RawArray<T>(std::move(array)), lock_(std::move(lock)) {}
    L lock_;
};

}  // namespace multiproc

namespace multiproc::detail::codec {

template <class T>
struct Coder<RawValue<T>> : HandleCoder<RawValue<T>> {};
template <class T>
struct Coder<RawArray<T>> : HandleCoder<RawArray<T>> {};

/// Of a handle `T` with a lock: the plain handle `Raw` and the lock.
template <class T, class Raw, class L>
struct LockedCoder {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return 2 * sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const T& handle) {
        Coder<Raw>::put(encoder, handle);
        Coder<L>::put(encoder, handle.get_lock());
    }
};

template <class T, class L>
struct Coder<Value<T, L>> : LockedCoder<Value<T, L>, RawValue<T>, L> {
    static Value<T, L> get(Decoder& decoder) {
        RawValue<T> value = Coder<RawValue<T>>::get(decoder);
        return Value<T, L>(std::move(value), Coder<L>::get(decoder));
    }
};
template <class T, class L>
struct Coder<Array<T, L>> : LockedCoder<Array<T, L>, RawArray<T>, L> {
    static Array<T, L> get(Decoder& decoder) {
        RawArray<T> array = Coder<RawArray<T>>::get(decoder);
        return Array<T, L>(std::move(array), Coder<L>::get(decoder));
    }
};

}  // namespace multiproc::detail::codec
