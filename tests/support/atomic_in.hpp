// std::atomic_ref, which not every standard library has yet.
#pragma once

#include <atomic>

namespace multiproc::test {

template <class T>
std::atomic<T>& atomic_in(T& value) noexcept {
    static_assert(sizeof(std::atomic<T>) == sizeof(T) && alignof(std::atomic<T>) == alignof(T));
    return reinterpret_cast<std::atomic<T>&>(value);
}

}  // namespace multiproc::test
