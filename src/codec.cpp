// The parts of the codec that are no templates: shared objects, error codes, and what is said about bytes that are
// wrong.
#include <multiproc/codec.hpp>

#include <future>
#include <ios>
#include <limits>
#include <string>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "os.hpp"

namespace multiproc {

void InputBuffer::throw_truncated(std::size_t wanted, std::size_t left) {
    throw CodecError("multiproc: the message ends too early: expected " + std::to_string(wanted) + " more bytes, but " +
                     std::to_string(left) + " are left");
}

}  // namespace multiproc

namespace multiproc::detail::codec {

void throw_bad_length(std::uint64_t count, std::size_t size, std::size_t left) {
    throw CodecError("multiproc: the message is damaged: it promises " + std::to_string(count) +
                     " elements of at least " + std::to_string(size) + " bytes, but " + std::to_string(left) +
                     " bytes are left");
}

void throw_bad_flag(const char* what, unsigned value) {
    throw CodecError(std::string("multiproc: the message is damaged: ") + what + " has an impossible value, " +
                     std::to_string(value));
}

void throw_bad_bool() {
    throw CodecError("multiproc: the message is damaged: expected a bool, which is 0 or 1, but found another value");
}

void throw_bad_index(std::uint64_t index, std::size_t count) {
    throw CodecError("multiproc: the message is damaged: expected one of the " + std::to_string(count) +
                     " alternatives of a variant, but found number " + std::to_string(index));
}

void throw_bad_padding(unsigned count) {
    throw CodecError("multiproc: the message is damaged: " + std::to_string(count) +
                     " bytes of padding in front of a block are too many");
}

void throw_too_deep() {
    throw CodecError("multiproc: a value is nested more than " + std::to_string(max_depth) +
                     " levels deep in pointers and containers; send a flat form of it, such as a vector of nodes");
}

void throw_valueless() {
    throw CodecError("multiproc: a std::variant that is valueless by exception cannot be encoded");
}

void throw_sliced(const std::type_info& declared, const std::type_info& actual) {
    throw CodecError("multiproc: a pointer to " + os::demangle(declared.name()) +
                     " points to an object of the derived class " + os::demangle(actual.name()) +
                     ", whose own members would be lost; use std::variant of the concrete classes");
}

// ---- shared objects ----

namespace {

struct Identity {
    const void* address;
    const std::type_info* type;  // an object and its first member have one address

    bool operator==(const Identity& other) const noexcept { return address == other.address && *type == *other.type; }
};

struct IdentityHash {
    std::size_t operator()(const Identity& identity) const noexcept {
        return std::hash<const void*>{}(identity.address) * 31 + identity.type->hash_code();
    }
};

}  // namespace

struct Encoder::Shared {
    struct Object {
        std::shared_ptr<const void> object;  // kept, lest a temporary's address be given to another object
        bool complete = false;
    };
    std::unordered_map<Identity, std::uint32_t, IdentityHash> numbers;
    std::vector<Object> objects;  // the object with number n at n - 1
};

std::uint32_t Encoder::begin_shared(std::shared_ptr<const void> object, const std::type_info& type) {
    if (!object) {
        number(std::uint32_t{0});
        return 0;
    }
    if (!shared_) shared_ = new Shared;
    if (shared_->objects.size() >= std::numeric_limits<std::uint32_t>::max() - 1) {
        throw CodecError("multiproc: a message cannot hold more than 2^32 shared objects");
    }
    const auto next = static_cast<std::uint32_t>(shared_->objects.size() + 1);
    const auto [entry, added] = shared_->numbers.try_emplace(Identity{object.get(), &type}, next);
    if (added) {
        shared_->objects.push_back({std::move(object)});
    } else if (!shared_->objects[entry->second - 1].complete) {
        throw CodecError("multiproc: an object of type " + os::demangle(type.name()) +
                         " holds a std::shared_ptr that leads back to itself; a cycle cannot be encoded");
    }
    number(entry->second);
    return added ? next : 0;
}

void Encoder::end_shared(std::uint32_t number) noexcept { shared_->objects[number - 1].complete = true; }

void Encoder::forget_shared() noexcept { delete shared_; }

struct Decoder::Shared {
    struct Object {
        std::shared_ptr<void> object;  // empty until it is complete
        const std::type_info* type;
    };
    std::vector<Object> objects;
};

Decoder::SharedObject Decoder::begin_shared(const std::type_info& type) {
    const auto found = number<std::uint32_t>();
    if (found == 0) return {};
    if (!shared_) shared_ = new Shared;
    std::vector<Shared::Object>& objects = shared_->objects;
    if (found == objects.size() + 1) {
        objects.push_back({nullptr, &type});
        return {found, nullptr};
    }
    if (found > objects.size() || !objects[found - 1].object || *objects[found - 1].type != type) {
        throw CodecError("multiproc: the message is damaged: expected a shared object of type " +
                         os::demangle(type.name()) + ", but number " + std::to_string(found) + " is none");
    }
    return {0, objects[found - 1].object};
}

void Decoder::end_shared(std::uint32_t number, std::shared_ptr<void> object) noexcept {
    shared_->objects[number - 1].object = std::move(object);
}

void Decoder::forget_shared() noexcept { delete shared_; }

// ---- error codes ----

namespace {

const std::error_category* find_category(std::string_view name) {
    for (const std::error_category* category :
         {&std::generic_category(), &std::system_category(), &std::iostream_category(), &std::future_category()}) {
        if (category->name() == name) return category;
    }
    return nullptr;
}

}  // namespace

void put_error_code(Encoder& encoder, const std::error_code& code) {
    const std::error_category* known = find_category(code.category().name());
    if (!known || *known != code.category()) {
        throw CodecError(std::string("multiproc: a std::error_code of the category \"") + code.category().name() +
                         "\" cannot be encoded; only generic, system, iostream and future can");
    }
    encoder.number(code.value());
    codec::put(encoder, std::string(known->name()));
}

std::error_code get_error_code(Decoder& decoder) {
    const int value = decoder.number<int>();
    const std::string name = codec::get<std::string>(decoder);
    const std::error_category* known = find_category(name);
    if (!known) throw CodecError("multiproc: the message is damaged: expected the name of an error category");
    return {value, *known};
}

}  // namespace multiproc::detail::codec
