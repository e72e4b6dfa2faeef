// How the methods of an object in a manager's server are named, called there, and answered. Internal.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <multiproc/detail/task.hpp>

namespace multiproc {

/// A method that clients may call, and the name it has on the wire: see `methods`.
template <auto M>
struct Method {
    const char* name;
    bool is_exclusive;
};

template <class... Ms>
struct MethodList {
    std::tuple<Ms...> all;
};

}  // namespace multiproc

namespace multiproc::detail {

template <class M>
struct MethodTraits;
template <class R, class C, class... P>
struct MethodTraits<R (C::*)(P...)> {
    using Result = R;
    using Parameters = TypeList<P...>;
};
template <class R, class C, class... P>
struct MethodTraits<R (C::*)(P...) const> : MethodTraits<R (C::*)(P...)> {};
template <class R, class C, class... P>
struct MethodTraits<R (C::*)(P...) noexcept> : MethodTraits<R (C::*)(P...)> {};
template <class R, class C, class... P>
struct MethodTraits<R (C::*)(P...) const noexcept> : MethodTraits<R (C::*)(P...)> {};

/// The method `M` of one `C`, as a callable: the rules for parameters and results are those of tasks.
template <class C, auto M>
struct BoundMethod {
    C* object;
    template <class... Given>
    decltype(auto) operator()(Given&&... given) const {
        return (object->*M)(std::forward<Given>(given)...);
    }
};
template <class C, auto M>
using method_call_t = Call<BoundMethod<C, M>, typename MethodTraits<decltype(M)>::Parameters>;
/// A method may return a reference: what it refers to is copied. (A task may not: who writes one means the reference.)
template <auto M>
using method_result_t = std::remove_cvref_t<typename MethodTraits<decltype(M)>::Result>;

/// Of an object in a server. Recursive: a method may call others of its own object, through a proxy.
class MULTIPROC_API ObjectMutex {
public:
    /// Waits no longer than there is somebody who waits for the call: else throws ClosedError.
    void lock();
    void unlock() noexcept;

private:
    std::mutex mutex_;
    std::condition_variable free_;
    std::thread::id owner_;
    std::uint32_t depth_ = 0;
};

/// A method as the server finds it.
struct ServedMethod {
    std::uint32_t id;
    const char* name;
    /// `mutex`: taken while the method runs, if it is not null.
    void (*call)(void* object, ObjectMutex* mutex, InputBuffer& arguments, OutputBuffer& result);
    bool is_exclusive;
};

/// FNV-1a of the name: the same in every build, also on another machine.
constexpr std::uint32_t method_id(const char* name) noexcept {
    std::uint32_t hash = 0x811c9dc5;
    for (; *name != '\0'; ++name) hash = (hash ^ static_cast<unsigned char>(*name)) * 0x01000193;
    return hash;
}

template <class C, auto M>
void serve_call(void* object, ObjectMutex* mutex, InputBuffer& in, OutputBuffer& out) {
    using Called = method_call_t<C, M>;
    [[maybe_unused]] auto arguments = decode_arguments(in, static_cast<typename Called::Storage*>(nullptr));
    BoundMethod<C, M> bound{static_cast<C*>(object)};
    std::unique_lock<ObjectMutex> guard;
    if (mutex != nullptr) guard = std::unique_lock(*mutex);
    if constexpr (std::is_void_v<method_result_t<M>>) {
        Called::invoke(bound, arguments);
    } else {
        encode(out, Called::invoke(bound, arguments));
    }
}

template <class C, auto M>
constexpr ServedMethod served_method(const Method<M>& method) {
    return {method_id(method.name), method.name, &serve_call<C, M>, method.is_exclusive};
}

/// All that a server has to know of a class.
struct ServedClass {
    const std::type_info& (*type)() noexcept;
    void (*destroy)(void* object) noexcept;
    /// Lets go of what a client held that is gone; null if there is nothing to hold.
    void (*client_gone)(void* object, std::uint64_t client) noexcept;
    const ServedMethod* methods;
    std::size_t method_count;
};

/// The base of what clients can hold, as they do locks: has `client_gone(std::uint64_t client) noexcept`.
class Holdable {};
template <class C>
concept HeldByClients = std::is_base_of_v<Holdable, C>;

template <class C, auto& List>
struct ServedClassOf {
    static constexpr std::size_t count = std::tuple_size_v<std::remove_cvref_t<decltype(List.all)>>;
    static constexpr auto methods = std::apply(
        [](const auto&... method) { return std::array<ServedMethod, count>{served_method<C>(method)...}; }, List.all);
    static constexpr bool are_ids_unique = [] {
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t j = 0; j < i; ++j)
                if (methods[i].id == methods[j].id) return false;
        return true;
    }();
    static_assert(are_ids_unique, "multiproc: two methods of this class have the same name in methods<C>");

    static void destroy(void* object) noexcept { delete static_cast<C*>(object); }
    static void client_gone([[maybe_unused]] void* object, [[maybe_unused]] std::uint64_t client) noexcept {
        if constexpr (HeldByClients<C>) static_cast<C*>(object)->client_gone(client);
    }
    static constexpr ServedClass value{&type_of<C>, &destroy, HeldByClients<C> ? &client_gone : nullptr, methods.data(),
                                       count};
};

/// The name under which a method is listed; null if it is not.
template <auto M, auto N>
constexpr void match_method(const Method<N>& method, const char*& found) {
    // Not `M == N`: with -fsanitize=undefined GCC 12 does not take that for a constant.
    if constexpr (std::is_same_v<Method<M>, Method<N>>) found = method.name;
}
template <auto M, class... Ms>
constexpr const char* name_of_method(const MethodList<Ms...>& list) {
    const char* found = nullptr;
    std::apply([&](const auto&... method) { (match_method<M>(method, found), ...); }, list.all);
    return found;
}

}  // namespace multiproc::detail
