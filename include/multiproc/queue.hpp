/// @file
/// Queues between processes and threads.
///
/// ```cpp
/// void work(multiproc::Queue<std::string> files, multiproc::Queue<Page> pages) {
///     while (std::optional<std::string> file = files.try_get_for(std::chrono::seconds(1))) pages.put(render(*file));
/// }
/// ```
///
/// Any number of processes and threads put items in and get them out; each item comes out once, those of one thread in the
/// order in which they were put in. An item is anything the codec can carry, locks, other queues and SharedArrays included,
/// of any size.
///
/// A queue is a handle, as Lock is: see lock.hpp. `put` has delivered when it returns: there is no thread that feeds the
/// queue, so a process can put and exit, or be killed, and nothing it has put is lost. A process that is killed in `put` or
/// `get` costs at most that one item, and the others go on.
///
/// Items that are larger than 16 MiB or that refer to SharedArrays are kept by the first process of the program until they
/// are taken out or their queue is gone: that takes one descriptor there for each item of that size and for each array. If
/// it can have no more of them, or has closed those of the library, `put` throws std::system_error; and so does `get` if
/// this process has no descriptor or address space left for what comes with the item.
///
/// All functions are thread-safe. They throw ClosedError after `close`, and in a copy of the program that the host forked;
/// and StartError when more than 1024 threads of the program wait at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <multiproc/call_options.hpp>
#include <multiproc/codec.hpp>
#include <multiproc/config.hpp>
#include <multiproc/detail/queue_core.hpp>
#include <multiproc/errors.hpp>
#include <multiproc/timeout.hpp>

namespace multiproc {

namespace queue {

/// Nothing was in the queue, at once or in time. Source: Python's `queue.Empty`.
class MULTIPROC_API Empty : public Error {
public:
    using Error::Error;
    ~Empty() override;
};

/// There was no room in the queue, at once or in time. Source: Python's `queue.Full`.
class MULTIPROC_API Full : public Error {
public:
    using Error::Error;
    ~Full() override;
};

}  // namespace queue

namespace detail {

[[noreturn]] MULTIPROC_API void throw_queue_empty(bool has_waited);
[[noreturn]] MULTIPROC_API void throw_queue_full(bool has_waited);

/// What the kinds of queues have in common.
template <class T>
class TypedQueue : public QueueCore {
public:
    using value_type = T;

    /// Takes the oldest item; waits until there is one. Throws what decoding it throws; it is gone then.
    T get() const { return *take({}); }
    /// The same; throws queue::Empty if there is none at once, without `block`, or else in `timeout`.
    T get(bool block, std::optional<Timeout> timeout = std::nullopt) const {
        std::optional<T> item = take({block, timeout});
        if (!item) throw_queue_empty(block);
        return *std::move(item);
    }
    T get_nowait() const { return get(false); }
    /// The same without errors: nothing if there is none.
    std::optional<T> try_get() const { return take({false, {}}); }
    std::optional<T> try_get_for(Timeout timeout) const { return take({true, timeout}); }

    /// Whether it is empty at the moment.
    bool empty() const { return size() == 0; }

protected:
    static constexpr std::size_t inline_bytes() noexcept {
        return codec::bits<T> ? std::min<std::size_t>(sizeof(T), QueueMessage::most_inline) : 0;
    }
    using QueueCore::QueueCore;

    bool send(const T& item, const Patience& patience) const {
        if constexpr (is_bits) {
            return put_bytes(std::as_bytes(std::span(&item, 1)), {}, patience);
        } else if constexpr (is_block) {
            const std::uint64_t length = item.size();  // what `encode` would write, see put_block
            return put_bytes(std::as_bytes(std::span(&length, 1)), std::as_bytes(std::span(item)), patience);
        } else {
            QueueWriter writer;
            encode(writer, item);
            return put_message(writer, patience);
        }
    }
    std::optional<T> take(const Patience& patience, std::uint64_t sender = 0) const {
        if constexpr (is_bits || is_block) {
            std::optional<T> item;
            const auto read = [](void* out, std::span<const std::byte> bytes) {
                InputBuffer in(bytes);
                static_cast<std::optional<T>*>(out)->emplace(decode<T>(in));
            };
            (void)read_message(read, &item, patience, sender);
            return item;
        } else {
            QueueMessage message;
            if (!get_message(message, patience, sender)) return std::nullopt;
            InputBuffer in = message.input();
            return decode<T>(in);
        }
    }

private:
    // What is copied between the queue and the item: nothing of the user's runs meanwhile.
    static constexpr bool is_bits = codec::bits<T>;
    static constexpr bool is_block = codec::is_byte_block<T>;
};

}  // namespace detail

/// A queue without limit, and without what limits need. Source: Python's `multiprocessing.SimpleQueue`.
template <class T>
class SimpleQueue final : public detail::TypedQueue<T> {
    using Base = detail::TypedQueue<T>;

public:
    /// Throws what Lock throws.
    SimpleQueue() : SimpleQueue(detail::OfObject{}, Base::make(0, Base::inline_bytes())) {}

    /// Adds an item. Throws what encoding it throws, std::bad_alloc if there is no shared memory left for it.
    void put(const T& item) const { this->send(item, {}); }
    /// This process uses it no more, by this handle and its copies.
    void close() const { this->close_here(); }

private:
    friend struct detail::HandleAccess;
    SimpleQueue(detail::OfObject, detail::ObjectRef object) noexcept : Base(std::move(object)) {}
};

namespace detail {

template <class T, bool Counts>
class BoundableQueue : public TypedQueue<T> {
    using Base = TypedQueue<T>;

public:
    /// Adds an item; waits until there is room. Throws what encoding it throws, std::bad_alloc if there is no shared memory
    /// left for it.
    void put(const T& item) const { this->send(item, {}); }
    /// The same; throws queue::Full if there is no room at once, without `block`, or else in `timeout`. (If a process was
    /// interrupted in the middle of taking an item, room is there in a moment: also without `block` it is awaited, for 20 ms
    /// at most.)
    void put(const T& item, bool block, std::optional<Timeout> timeout = std::nullopt) const {
        if (!this->send(item, {block, timeout})) throw_queue_full(block);
    }
    void put_nowait(const T& item) const { put(item, false); }
    /// The same without errors: whether there was room.
    bool try_put(const T& item) const { return this->send(item, {false, {}}); }
    bool try_put_for(const T& item, Timeout timeout) const { return this->send(item, {true, timeout}); }

    /// How many items are in it at the moment, about.
    std::size_t qsize() const { return static_cast<std::size_t>(this->size()); }
    /// Whether there is no room at the moment.
    bool full() const { return this->max_size() != 0 && this->size() >= this->max_size(); }

    /// This process uses it no more, by this handle and its copies.
    void close() const { this->close_here(); }
    /// For programs that come from Python: nothing has to be waited for, as `put` has delivered.
    void join_thread() const noexcept {}
    void cancel_join_thread() const noexcept {}

protected:
    using Base::Base;
    static ObjectRef make_queue(Count max_size) { return Base::make(max_size.value(), Base::inline_bytes(), Counts); }
};

}  // namespace detail

/// Source: Python's `multiprocessing.Queue`.
template <class T>
class Queue final : public detail::BoundableQueue<T, false> {
    using Base = detail::BoundableQueue<T, false>;

public:
    /// For `max_size` items at most; 0 (or less): without limit. Throws std::invalid_argument if it is more than 1048576,
    /// and what Lock throws.
    explicit Queue(Count max_size = 0) : Queue(detail::OfObject{}, Base::make_queue(max_size)) {}

private:
    friend struct detail::HandleAccess;
    Queue(detail::OfObject, detail::ObjectRef object) noexcept : Base(std::move(object)) {}
};

/// A queue that knows when all its items are done with. Source: Python's `multiprocessing.JoinableQueue`.
template <class T>
class JoinableQueue final : public detail::BoundableQueue<T, true> {
    using Base = detail::BoundableQueue<T, true>;

public:
    /// As for Queue.
    explicit JoinableQueue(Count max_size = 0) : JoinableQueue(detail::OfObject{}, Base::make_queue(max_size)) {}

    /// Says that an item that was got is done with. Throws std::logic_error if it is called more often than items were put.
    void task_done() const {
        if (!this->done()) throw std::logic_error("multiproc: task_done() was called more often than items were put");
    }
    /// Waits until `task_done` was called for each item that was put. If a process is killed after it got an item and
    /// before it said so, that never is: use `join_for` where that can happen. (What a process was just putting or taking
    /// when it was killed is lost, and counts as done.)
    void join() const { this->await_done(std::nullopt); }
    /// The same for at most `timeout`; zero or negative only asks. Returns whether all are done.
    bool join_for(Timeout timeout) const { return this->await_done(timeout); }

private:
    friend struct detail::HandleAccess;
    JoinableQueue(detail::OfObject, detail::ObjectRef object) noexcept : Base(std::move(object)) {}
};

}  // namespace multiproc

namespace multiproc::detail::codec {
template <class T>
struct Coder<SimpleQueue<T>> : HandleCoder<SimpleQueue<T>> {};
template <class T>
struct Coder<Queue<T>> : HandleCoder<Queue<T>> {};
template <class T>
struct Coder<JoinableQueue<T>> : HandleCoder<JoinableQueue<T>> {};
}  // namespace multiproc::detail::codec
