/// @file
/// How a callable is named in another process, and the piece of code that runs it there. Internal.
///
/// Each callable *type* has one TaskDescriptor, a writable static data member of a template: writable data is never
/// folded by the linker, as two functions with the same body are. It travels as module, offset and signature. All
/// functions of one signature share a descriptor; the function's own address travels beside it in the same way.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <typeinfo>

#include <multiproc/detail/callable.hpp>
#include <multiproc/partial.hpp>

namespace multiproc::detail {

/// One run of a task in a worker: the arguments of one or more items, and the place for their results.
class MULTIPROC_API TaskRun {
public:
    TaskRun(const TaskRun&) = delete;
    TaskRun& operator=(const TaskRun&) = delete;

    InputBuffer fields;              ///< of the callable
    InputBuffer arguments;           ///< of the items
    std::uint32_t count = 0;         ///< how many items
    const void* function = nullptr;  ///< the function, where the callable is one

    /// Where the result of the item at hand is written.
    OutputBuffer& result() noexcept { return *result_; }

    /// The item's result is complete. From here on it survives this process: the parent reads results that were
    /// finished but not yet sent out of the shared memory of a dead worker.
    void item_done() {
        ++done_;
        progress_->store(pack(done_, result_->size()), std::memory_order_release);
        if (send_each_) send_results();
    }

    /// Where in `result()` the item at hand begins. It may change while the item is written, since one that outgrows its
    /// place moves to another.
    std::size_t item_start() const noexcept {
        return done_ == 0 ? 0 : static_cast<std::uint32_t>(progress_->load(std::memory_order_relaxed));
    }

    /// Measures, where that is wanted, how much of the run is the callables' own time. Of many items some are enough: to
    /// read the clock twice takes longer than a small one.
    class CallTimer {
    public:
        CallTimer(TaskRun& task, std::uint32_t item)
            : task_(task), is_on_(task.times_calls_ && (item & task.untimed_items_) == 0) {
            if (is_on_) begin_ = std::chrono::steady_clock::now();
        }
        ~CallTimer() {
            if (is_on_) task_.in_calls_ += std::chrono::steady_clock::now() - begin_;
        }
        CallTimer(const CallTimer&) = delete;
        CallTimer& operator=(const CallTimer&) = delete;

    private:
        TaskRun& task_;
        const bool is_on_;
        std::chrono::steady_clock::time_point begin_;
    };

    /// Called in a catch block: the error is the item's result.
    void item_failed() noexcept { send_error(); }

    static constexpr std::uint64_t pack(std::uint32_t items, std::size_t bytes) noexcept {
        return (std::uint64_t{items} << 32) | static_cast<std::uint32_t>(bytes);
    }

protected:
    TaskRun() = default;
    ~TaskRun() = default;
    virtual void send_results() = 0;
    virtual void send_error() noexcept = 0;

    OutputBuffer* result_ = nullptr;
    std::atomic<std::uint64_t>* progress_ = nullptr;
    std::uint32_t done_ = 0;
    bool send_each_ = false;
    /// Begins to measure the calls of `count` items.
    void time_calls() noexcept {
        times_calls_ = true;
        in_calls_ = {};
        untimed_items_ = 0;
        while (count / (untimed_items_ + 1) > 32) untimed_items_ = 2 * untimed_items_ + 1;
    }
    /// How much time all of them have taken, by those that were measured.
    std::chrono::steady_clock::duration time_in_calls() const noexcept {
        return in_calls_ * count / std::max<std::uint32_t>((count + untimed_items_) / (untimed_items_ + 1), 1);
    }

    bool times_calls_ = false;

private:
    std::uint32_t untimed_items_ = 0;  ///< a mask: items whose number has a bit of it are not measured
    std::chrono::steady_clock::duration in_calls_{0};
};

struct TaskDescriptor {
    /// Tells it from whatever else lies in a module: what a message names is looked at before it is called.
    static constexpr std::uint64_t is_descriptor = 0x6b7361742e706d2e;
    std::uint64_t mark;
    void (*run)(TaskRun&);
    const std::type_info& (*signature)() noexcept;  ///< of callable, parameters and result
    const std::type_info& (*callable)() noexcept;
};

/// A task as the calling process knows it.
struct TaskTarget {
    const TaskDescriptor* descriptor = nullptr;
    const void* function = nullptr;
};

// ---- the callable itself in a message ----

template <class F>
struct CallableCodec {
    static constexpr bool has_function = false;
    static const void* function(const F&) noexcept { return nullptr; }
    static void write(OutputBuffer& out, const F& f) {
        if constexpr (!Stateless<F>) encode(out, f);
    }
    static F read(InputBuffer& in, const void*) {
        if constexpr (Stateless<F>) {
            return F{};
        } else {
            return decode<F>(in);
        }
    }
};

template <FunctionPointer F>
struct CallableCodec<F> {
    static constexpr bool has_function = true;
    static const void* function(F f) noexcept { return reinterpret_cast<const void*>(f); }
    static void write(OutputBuffer&, F) noexcept {}
    static F read(InputBuffer&, const void* function) {
        if (function == nullptr) require_function(function);  // the message names none
        return reinterpret_cast<F>(const_cast<void*>(function));
    }
};

template <class F, class... Bound>
struct CallableCodec<Partial<F, Bound...>> {
    using Whole = Partial<F, Bound...>;
    static constexpr bool has_function = CallableCodec<F>::has_function;
    static const void* function(const Whole& p) noexcept { return CallableCodec<F>::function(p.function); }
    static void write(OutputBuffer& out, const Whole& p) {
        CallableCodec<F>::write(out, p.function);
        std::apply([&out](const Bound&... bound) { encode(out, bound...); }, p.bound);
    }
    static Whole read(InputBuffer& in, const void* function) {
        F f = CallableCodec<F>::read(in, function);
        return Whole{std::move(f), decode_all<Bound...>(in)};
    }
};

// ---- the arguments of one item ----

// Items of fixed size follow each other without a gap; others carry their length, so that one that cannot be decoded
// does not spoil those behind it.
template <class Storage>
inline constexpr bool fixed_size_item = false;
template <class... Ts>
inline constexpr bool fixed_size_item<std::tuple<Ts...>> = (is_bitwise_v<Ts> && ...);

template <class Target, class Arg>
decltype(auto) as_storage(Arg&& argument) {
    if constexpr (std::is_same_v<std::remove_cvref_t<Arg>, Target>) {
        return static_cast<const Target&>(argument);
    } else {
        return convert<Target>(std::forward<Arg>(argument));
    }
}

template <class Called, class... Args, std::size_t... I>
void encode_arguments(OutputBuffer& out, std::index_sequence<I...>, Args&&... args) {
    encode(out, as_storage<typename Called::template StorageAt<I>>(std::forward<Args>(args))...);
}

/// Appends the arguments of one item, converted to what the function takes.
template <class Called, class... Args>
void encode_item(OutputBuffer& out, Args&&... args) {
    if constexpr (fixed_size_item<typename Called::Storage>) {
        encode_arguments<Called>(out, std::index_sequence_for<Args...>{}, std::forward<Args>(args)...);
    } else {
        const std::size_t start = out.size();
        std::uint64_t length = 0;
        out.write(&length, sizeof length);
        encode_arguments<Called>(out, std::index_sequence_for<Args...>{}, std::forward<Args>(args)...);
        length = out.size() - start - sizeof length;
        out.overwrite(start, &length, sizeof length);
    }
}

// ---- the result of one item ----

// The same holds for results.
template <class R>
inline constexpr bool fixed_size_result = is_bitwise_v<R>;
template <>
inline constexpr bool fixed_size_result<void> = true;

template <class R>
void encode_result(TaskRun& task, R&& result) {
    if constexpr (fixed_size_result<std::remove_cvref_t<R>>) {
        encode(task.result(), std::forward<R>(result));
    } else {
        std::uint64_t length = 0;
        task.result().write(&length, sizeof length);
        encode(task.result(), std::forward<R>(result));
        const std::size_t start = task.item_start();
        length = task.result().size() - start - sizeof length;
        task.result().overwrite(start, &length, sizeof length);
    }
}

/// The bytes of the next value. Throws CodecError if they are not there.
inline InputBuffer take_item(InputBuffer& in) {
    std::uint64_t length = 0;
    in.read(&length, sizeof length);
    if (length > in.remaining()) length = in.remaining() + std::uint64_t{1};
    const auto size = static_cast<std::size_t>(length);
    return InputBuffer({in.take(size), size}, in.attachments());
}

/// The next of several results. `in` is behind it then, also if it cannot be decoded.
template <class R>
R decode_result(InputBuffer& in) {
    if constexpr (fixed_size_result<R>) {
        return decode<R>(in);
    } else {
        InputBuffer item = take_item(in);
        return decode<R>(item);
    }
}

template <class... Ts>
std::tuple<Ts...> decode_arguments(InputBuffer& in, std::tuple<Ts...>*) {
    return decode_all<Ts...>(in);
}

// ---- running ----

template <class F, class Called>
struct TaskRunner {
    using Storage = typename Called::Storage;

    static void run(TaskRun& task) {
        InputBuffer fields = task.fields;
        [[maybe_unused]] F f = CallableCodec<F>::read(fields, task.function);  // if it throws, nothing can be run
        for (std::uint32_t item = 0; item < task.count; ++item) {
            try {
                Storage arguments = read_item(task);
                if constexpr (Called::pure) {
                    run_item(task, f, arguments, item);
                } else {
                    // A call may change it, so each item gets a fresh one, as if it had been sent alone.
                    InputBuffer in = task.fields;
                    F fresh = CallableCodec<F>::read(in, task.function);
                    run_item(task, fresh, arguments, item);
                }
            } catch (...) {
                task.item_failed();
                continue;
            }
            task.item_done();
        }
    }

private:
    static void run_item(TaskRun& task, F& f, Storage& arguments, std::uint32_t item) {
        const auto call = [&]() -> decltype(auto) {
            const TaskRun::CallTimer timer(task, item);
            return Called::invoke(f, arguments);
        };
        if constexpr (std::is_void_v<raw_result_t<Called, F>>) {
            call();
        } else {
            encode_result(task, call());
        }
    }

    static Storage read_item(TaskRun& task) {
        if constexpr (fixed_size_item<Storage>) {
            return decode_arguments(task.arguments, static_cast<Storage*>(nullptr));
        } else {
            InputBuffer item = take_item(task.arguments);
            return decode_arguments(item, static_cast<Storage*>(nullptr));
        }
    }
};

template <class T>
const std::type_info& type_of() noexcept {
    return typeid(T);
}

template <class F, class Called>
struct TaskDescriptorOf {
    static inline TaskDescriptor value{TaskDescriptor::is_descriptor, &TaskRunner<F, Called>::run,
                                       &type_of<TaskRunner<F, Called>>, &type_of<F>};
};

/// A callable prepared for travelling: what it is, and how its calls are written.
template <class F, class... Args>
struct Task {
    using Traits = TaskTraits<F, Args...>;
    using Function = typename Traits::Function;
    using Called = typename Traits::Called;
    using Result = typename Traits::Result;

    static constexpr bool fixed_size_items = fixed_size_item<typename Called::Storage>;
    /// Whether the callable is all in its type (or its address), so that nothing of it travels with the items.
    static constexpr bool fieldless = FunctionPointer<Function> || Stateless<Function>;
    /// Bytes of every result, where they are the same for all; SIZE_MAX: they vary.
    static constexpr std::size_t result_size = [] {
        if constexpr (std::is_void_v<Result>) {
            return std::size_t{0};
        } else if constexpr (is_bitwise_v<Result>) {
            return sizeof(Result);
        } else {
            return SIZE_MAX;
        }
    }();
    /// Whether an array of `T` is, byte for byte, the encoded items.
    template <class T>
    static constexpr bool encodes_as_is = std::is_same_v<typename Called::Storage, std::tuple<T>> && fixed_size_items;

    /// Throws std::invalid_argument for an empty function pointer.
    static TaskTarget target([[maybe_unused]] const Function& f) {
        TaskTarget target;
        if constexpr (Traits::sound) {
            target = {&TaskDescriptorOf<Function, Called>::value, CallableCodec<Function>::function(f)};
            if constexpr (CallableCodec<Function>::has_function) require_function(target.function);
        }
        return target;
    }
    static void write_callable([[maybe_unused]] OutputBuffer& out, [[maybe_unused]] const Function& f) {
        if constexpr (Traits::sound) CallableCodec<Function>::write(out, f);
    }
    template <class... Given>
    static void write_item([[maybe_unused]] OutputBuffer& out, [[maybe_unused]] Given&&... given) {
        if constexpr (Traits::sound) encode_item<Called>(out, std::forward<Given>(given)...);
    }
};

}  // namespace multiproc::detail
