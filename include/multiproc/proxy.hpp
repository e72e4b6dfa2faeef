/// @file
/// Objects that live in a manager's server, and are used from any process.
///
/// ```cpp
/// class Counter {
/// public:
///     int add(int amount) { return total_ += amount; }
///     int total() const { return total_; }
/// private:
///     int total_ = 0;
/// };
/// template <>
/// inline constexpr auto multiproc::methods<Counter> = multiproc::method_list(
///     multiproc::method<&Counter::add>("add"), multiproc::method<&Counter::total>("total"));
///
/// multiproc::Manager manager;
/// multiproc::Proxy<Counter> counter = manager.make<Counter>();
/// counter.call<&Counter::add>(5);                               // runs in the server; what it throws is thrown here
/// ```
///
/// A proxy is a handle: copies refer to the same object, and it can be an argument or result of a process or task, be in
/// containers and structs, go through queues, and into other objects of a manager. The object is there as long as there is
/// a proxy of it, in whatever process, or in another object.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <multiproc/config.hpp>
#include <multiproc/detail/queue_core.hpp>
#include <multiproc/detail/served.hpp>
#include <multiproc/errors.hpp>

namespace multiproc {

/// For `methods`: a method with its name. While it runs, no other call of the same object does, but for those that it makes
/// itself, so it need not be thread-safe.
template <auto M>
constexpr Method<M> method(const char* name) {
    return {name, true};
}
/// The same for a method that is thread-safe itself: it may run at the same time as others of its object, and may wait.
template <auto M>
constexpr Method<M> concurrent_method(const char* name) {
    return {name, false};
}
template <class... Ms>
constexpr MethodList<Ms...> method_list(Ms... all) {
    return {{all...}};
}

/// The methods of `C` that can be called through a proxy: specialise this for your class, as above. Parameters and results
/// follow the rules of tasks, except that a result may be a reference, which is copied.
/// Source: `register` and `exposed` of Python's managers.
template <class C>
inline constexpr auto methods = nullptr;

class Manager;

namespace detail {

class ProxyTarget;

/// Where the proxies in an answer come from that was not made on this machine.
class MULTIPROC_API TargetSource {
public:
    virtual ~TargetSource();
    /// Throws CodecError if the answer did not bring that object.
    virtual std::shared_ptr<const ProxyTarget> find(std::uint64_t id) = 0;
    /// The answer to this thread's call was decoded.
    virtual void call_over() noexcept = 0;
};
/// The one of the call that this thread is encoding or decoding; null if there is none.
MULTIPROC_API TargetSource* current_source() noexcept;

/// An object of a manager, as this process reaches it.
class MULTIPROC_API ProxyTarget {
public:
    ProxyTarget() = default;
    ProxyTarget(const ProxyTarget&) = delete;
    ProxyTarget& operator=(const ProxyTarget&) = delete;
    virtual ~ProxyTarget();

    /// The same for all proxies of an object; 0: the server itself.
    virtual std::uint64_t id() const noexcept = 0;
    /// Sends a call to the server and waits for the answer. Throws ClosedError if the server is gone.
    virtual void exchange(const OutputBuffer& call, QueueMessage& answer) const = 0;
    /// Writes a reference to the object.
    virtual void encode(OutputBuffer& out) const = 0;
    /// Null for objects of this machine.
    virtual TargetSource* source() const noexcept { return nullptr; }
};

/// One call of a method: from the encoding of its arguments to the decoding of its result.
class MULTIPROC_API ProxyCall {
public:
    ProxyCall(const ProxyTarget& target, std::uint32_t method);
    ~ProxyCall();
    ProxyCall(const ProxyCall&) = delete;
    ProxyCall& operator=(const ProxyCall&) = delete;
    OutputBuffer& message() noexcept { return call_; }
    /// Makes the call, and returns the encoded result. Throws what the method threw, and ClosedError.
    InputBuffer& perform();

private:
    const ProxyTarget& target_;
    TargetSource* const outer_source_;
    QueueWriter call_;
    QueueMessage answer_;
    InputBuffer result_;
};

/// The base of all proxies. All functions are thread-safe.
class MULTIPROC_API ProxyBase {
public:
    /// Whether both refer to the same object.
    friend bool operator==(const ProxyBase& a, const ProxyBase& b) noexcept {
        return a.target_->id() == b.target_->id() && a.target_->source() == b.target_->source();
    }

protected:
    explicit ProxyBase(std::shared_ptr<const ProxyTarget> target) noexcept : target_(std::move(target)) {}
    ProxyBase(const ProxyBase&) noexcept = default;
    ProxyBase& operator=(const ProxyBase&) noexcept = default;
    ~ProxyBase() = default;

    std::shared_ptr<const ProxyTarget> target_;

private:
    friend struct ProxyAccess;
};

struct ProxyAccess {
    static const std::shared_ptr<const ProxyTarget>& target(const ProxyBase& proxy) noexcept { return proxy.target_; }
    template <class P>
    static P make(std::shared_ptr<const ProxyTarget> target) {
        return P(std::move(target));
    }
};

/// Reads a reference to an object of this class. Throws CodecError if it is one of another class, or is gone.
MULTIPROC_API std::shared_ptr<const ProxyTarget> decode_target(InputBuffer& in, const std::type_info& type);

// ---- for those who pass calls on from other machines ----

/// The managed objects that an answer refers to. Throws CodecError if it refers to other things in shared memory.
MULTIPROC_API std::vector<std::shared_ptr<const ProxyTarget>> targets_in(const QueueMessage& answer);
/// In a catch block: writes the answer that the error is.
MULTIPROC_API void write_failure(OutputBuffer& answer, std::string_view task);
/// The encoded result in an answer. Throws the error that it is.
MULTIPROC_API InputBuffer result_of(const QueueMessage& answer);
/// While this lives, a call that this thread waits for is given up, by ClosedError, soon after `is_wanted` has become false.
class MULTIPROC_API CallWatch {
public:
    explicit CallWatch(std::function<bool()> is_wanted);
    ~CallWatch();
    CallWatch(const CallWatch&) = delete;
    CallWatch& operator=(const CallWatch&) = delete;

private:
    std::function<bool()> is_wanted_;
};
/// The name of a type that other compilers give it, too.
MULTIPROC_API std::string portable_name(const std::type_info& type);

/// In a server: makes `object` known there, and owns it from now on, also if this throws: std::logic_error elsewhere.
MULTIPROC_API std::shared_ptr<const ProxyTarget> serve_object(const ServedClass& type, void* object);
/// In a server: the object behind a proxy. Throws std::logic_error elsewhere, and if it is another manager's.
MULTIPROC_API std::shared_ptr<void> served_object(const ProxyTarget& target);

}  // namespace detail

/// An object of class `C` in a manager's server. All functions are thread-safe.
/// Source: Python's `multiprocessing.managers.BaseProxy`.
template <class C>
class Proxy : public detail::ProxyBase {
public:
    using Object = C;

    /// Calls the method `M` (`&C::name`), which must be in `methods<C>`. The arguments are converted to the types of its
    /// parameters here. Throws what the method throws (as `Remote<E>`, which is an `E`), CodecError for what cannot be
    /// encoded, ClosedError when the manager was shut down or its server has died.
    template <auto M, class... Args>
    detail::method_result_t<M> call(Args&&... args) const {
        using Called = detail::method_call_t<C, M>;
        using Result = detail::method_result_t<M>;
        constexpr const char* name = detail::name_of_method<M>(methods<C>);
        static_assert(name != nullptr, "multiproc: this method is not listed in multiproc::methods<C>");
        Called::check_parameters();
        static_assert(Called::arity == sizeof...(Args),
                      "multiproc: the number of arguments does not match the method's parameters");
        if constexpr (name != nullptr && Called::arity == sizeof...(Args)) {
            detail::ProxyCall call(*target_, std::integral_constant<std::uint32_t, detail::method_id(name)>::value);
            detail::encode_arguments<Called>(call.message(), std::index_sequence_for<Args...>{},
                                             std::forward<Args>(args)...);
            InputBuffer& result = call.perform();
            if constexpr (!std::is_void_v<Result>) return decode<Result>(result);
        }
    }

protected:
    friend struct detail::ProxyAccess;
    explicit Proxy(std::shared_ptr<const detail::ProxyTarget> target) noexcept : ProxyBase(std::move(target)) {}
};

}  // namespace multiproc

namespace multiproc::detail {

/// The one table of a class's methods.
template <class C>
constexpr const ServedClass& served_class() noexcept {
    static_assert(!std::is_null_pointer_v<std::remove_cv_t<decltype(methods<C>)>>,
                  "multiproc: say which methods of this class can be called from other processes: "
                  "template <> inline constexpr auto multiproc::methods<C> = "
                  "multiproc::method_list(multiproc::method<&C::name>(\"name\"), ...);");
    return ServedClassOf<C, methods<C>>::value;
}

/// Makes a `C` in the server in which it is called.
template <class C>
struct MakeServed {
    template <class... Args>
    Proxy<C> operator()(Args&&... args) const {
        return ProxyAccess::make<Proxy<C>>(serve_object(served_class<C>(), new C(std::forward<Args>(args)...)));
    }
};

}  // namespace multiproc::detail

namespace multiproc::detail::codec {

template <class P>
    requires std::derived_from<P, ProxyBase>
struct Coder<P> {
    static constexpr Problem problem = Problem::none;
    using Parts = Types<>;
    static constexpr std::size_t min_size() { return sizeof(std::uint64_t); }

    static void put(Encoder& encoder, const P& proxy) { ProxyAccess::target(proxy)->encode(encoder.out()); }
    static P get(Decoder& decoder) {
        return ProxyAccess::make<P>(decode_target(decoder.in(), typeid(typename P::Object)));
    }
};

}  // namespace multiproc::detail::codec
