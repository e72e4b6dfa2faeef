// What one message under way knows besides its bytes: how deep it is nested and which shared objects it holds.
// Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <typeinfo>

#include <multiproc/buffer.hpp>

namespace multiproc::detail::codec {

/// How deep pointers and containers may be nested in one another: what is deeper would need more stack than a thread of
/// every platform has.
inline constexpr unsigned max_depth = 500;

[[noreturn]] MULTIPROC_API void throw_bad_length(std::uint64_t count, std::size_t size, std::size_t left);
[[noreturn]] MULTIPROC_API void throw_bad_flag(const char* what, unsigned value);
[[noreturn]] MULTIPROC_API void throw_bad_index(std::uint64_t index, std::size_t count);
[[noreturn]] MULTIPROC_API void throw_bad_padding(unsigned count);
[[noreturn]] MULTIPROC_API void throw_too_deep();
[[noreturn]] MULTIPROC_API void throw_valueless();
[[noreturn]] MULTIPROC_API void throw_sliced(const std::type_info& declared, const std::type_info& actual);

/// Counts one level of nesting while it lives.
class Nesting {
public:
    explicit Nesting(unsigned& depth) : depth_(depth) {
        if (depth >= max_depth) throw_too_deep();
        ++depth_;
    }
    ~Nesting() { --depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

private:
    unsigned& depth_;
};

/// One message being written.
class MULTIPROC_API Encoder {
public:
    explicit Encoder(OutputBuffer& out) noexcept : out_(out) {}
    ~Encoder() {
        if (shared_) forget_shared();
    }
    Encoder(const Encoder&) = delete;
    Encoder& operator=(const Encoder&) = delete;

    OutputBuffer& out() noexcept { return out_; }
    unsigned& depth() noexcept { return depth_; }

    template <class T>
    void number(T value) {
        out_.write(&value, sizeof value);
    }

    /// Writes the number of a shared object. Returns it if the object itself must follow and `end_shared` after it,
    /// else 0. Throws CodecError when the object is being written already: it holds itself.
    std::uint32_t begin_shared(std::shared_ptr<const void> object, const std::type_info& type);
    void end_shared(std::uint32_t number) noexcept;

private:
    struct Shared;
    void forget_shared() noexcept;

    OutputBuffer& out_;
    unsigned depth_ = 0;
    Shared* shared_ = nullptr;  // made when the first shared object comes, which is rare
};

/// One message being read.
class MULTIPROC_API Decoder {
public:
    explicit Decoder(InputBuffer& in) noexcept : in_(in) {}
    ~Decoder() {
        if (shared_) forget_shared();
    }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    InputBuffer& in() noexcept { return in_; }
    unsigned& depth() noexcept { return depth_; }

    template <class T>
    T number() {
        T value;
        in_.read(&value, sizeof value);
        return value;
    }

    struct SharedObject {
        std::uint32_t number = 0;      ///< not 0: the object itself follows, then `end_shared`
        std::shared_ptr<void> object;  ///< else what was read before; empty for a null pointer
    };
    /// Throws CodecError for a number that cannot stand here, or that belongs to an object of another type.
    SharedObject begin_shared(const std::type_info& type);
    void end_shared(std::uint32_t number, std::shared_ptr<void> object) noexcept;

private:
    struct Shared;
    void forget_shared() noexcept;

    InputBuffer& in_;
    unsigned depth_ = 0;
    Shared* shared_ = nullptr;
};

}  // namespace multiproc::detail::codec
