// Which types of error travel as themselves, and how each of the standard library's and this library's does.
#include "error_kinds.hpp"

#include <any>
#include <atomic>
#include <filesystem>
#include <functional>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include <multiproc/network_errors.hpp>
#include <multiproc/pipe.hpp>
#include <multiproc/queue.hpp>

#include "per_process.hpp"

namespace multiproc::detail {
namespace {

using Origin = RemoteError::Origin;

template <class E>
ErrorKind kind(std::string name, void (*encode)(OutputBuffer&, const std::exception&),
               std::exception_ptr (*decode)(InputBuffer&, Origin)) {
    using Kind = ErrorKindOf<E>;
    return {std::move(name), &typeid(E), &Kind::matches, encode, decode, &Kind::throw_null, &Kind::catches};
}

void encode_nothing(OutputBuffer&, const std::exception&) {}

// Made from its text.
template <class E>
ErrorKind text_kind(std::string name) {
    return kind<E>(std::move(name), &encode_nothing, &decode_error<E>);
}

// Holds nothing at all: Remote<E> has its text.
template <class E>
ErrorKind plain_kind(std::string name) {
    return kind<E>(std::move(name), &encode_nothing, [](InputBuffer&, Origin origin) {
        return ErrorKindOf<E>::remote(std::move(origin), [] { return E(); });
    });
}

// ---- errors with a std::error_code ----

// Stands for a category that the program made itself. Which one it was is in the error's text.
class ForeignCategory final : public std::error_category {
public:
    const char* name() const noexcept override { return "foreign"; }
    std::string message(int value) const override {
        return "error " + std::to_string(value) + " of a category of the process that threw it";
    }
};

const std::error_category& foreign_category() { return of_this_program<ForeignCategory>(); }

struct Code {
    int value;
    std::optional<std::error_code> known;
};

void encode_code(OutputBuffer& out, const std::error_code& code) {
    const std::size_t start = out.size();
    try {
        encode(out, code.value(), std::optional<std::error_code>(code));
    } catch (const CodecError&) {
        out.truncate(start);
        encode(out, code.value(), std::optional<std::error_code>());
    }
}

std::error_code decode_code(InputBuffer& in) {
    const Code code = decode<Code>(in);
    return code.known ? *code.known : std::error_code(code.value, foreign_category());
}

template <class E>
ErrorKind code_kind(std::string name) {
    return kind<E>(
        std::move(name),
        [](OutputBuffer& out, const std::exception& error) { encode_code(out, dynamic_cast<const E&>(error).code()); },
        [](InputBuffer& in, Origin origin) {
            const std::error_code code = decode_code(in);
            const std::string text = origin.text;
            return ErrorKindOf<E>::remote(std::move(origin), [&]() -> E {
                if constexpr (std::is_constructible_v<E, const std::string&, const std::error_code&>) {
                    return E(text, code);
                } else {
                    return E(code, text);
                }
            });
        });
}

ErrorKind filesystem_kind() {
    using E = std::filesystem::filesystem_error;
    return kind<E>(
        "std::filesystem::filesystem_error",
        [](OutputBuffer& out, const std::exception& error) {
            const auto& failure = dynamic_cast<const E&>(error);
            encode_code(out, failure.code());
            encode(out, failure.path1(), failure.path2());
        },
        [](InputBuffer& in, Origin origin) {
            const std::error_code code = decode_code(in);
            const auto [path1, path2] = decode_all<std::filesystem::path, std::filesystem::path>(in);
            const E error(origin.text, path1, path2, code);
            return ErrorKindOf<E>::remote(std::move(origin), [&] { return error; });
        });
}

ErrorKind worker_died_kind() {
    using E = WorkerDied;
    return kind<E>(
        "multiproc::WorkerDied",
        [](OutputBuffer& out, const std::exception& error) {
            const auto& died = dynamic_cast<const E&>(error);
            encode(out, died.status().kind(), died.status().number(), died.pid(), died.task());
        },
        [](InputBuffer& in, Origin origin) {
            const auto [how, number, pid, task] =
                decode_all<ExitStatus::Kind, std::uint32_t, std::uint32_t, std::string>(in);
            ExitStatus status;
            if (how == ExitStatus::Kind::exited) status = ExitStatus::exited(number);
            if (how == ExitStatus::Kind::signalled) status = ExitStatus::signalled(number);
            const E error(status, pid, task);
            return ErrorKindOf<E>::remote(std::move(origin), [&] { return error; });
        });
}

// ---- the registry ----

// A list that only grows, without a lock.
struct Entry {
    ErrorKind kind;
    bool is_built_in;
    std::atomic<Entry*> next{nullptr};
};

class Registry {
public:
    Registry() {
        for (ErrorKind& kind : built_in_kinds()) add(std::move(kind), true);
    }
    // Threads may still report errors while the program ends, so it is not destroyed once it is in use.
    ~Registry() {
        for (Entry* entry = first_; entry != nullptr;) delete std::exchange(entry, entry->next.load());
    }
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    const Entry* first() const noexcept { return first_.load(std::memory_order_acquire); }
    static const Entry* next(const Entry* entry) noexcept { return entry->next.load(std::memory_order_acquire); }

    void add(ErrorKind kind, bool is_built_in) {
        auto* const entry = new Entry{std::move(kind), is_built_in};
        std::atomic<Entry*>* end = &first_;
        for (Entry* seen = nullptr; !end->compare_exchange_strong(seen, entry, std::memory_order_acq_rel);
             seen = nullptr)
            end = &seen->next;
    }

private:
    static std::vector<ErrorKind> built_in_kinds() {
        return {
            text_kind<std::logic_error>("std::logic_error"),
            text_kind<std::domain_error>("std::domain_error"),
            text_kind<std::invalid_argument>("std::invalid_argument"),
            text_kind<std::length_error>("std::length_error"),
            text_kind<std::out_of_range>("std::out_of_range"),
            text_kind<std::runtime_error>("std::runtime_error"),
            text_kind<std::range_error>("std::range_error"),
            text_kind<std::overflow_error>("std::overflow_error"),
            text_kind<std::underflow_error>("std::underflow_error"),
            plain_kind<std::bad_alloc>("std::bad_alloc"),
            plain_kind<std::bad_array_new_length>("std::bad_array_new_length"),
            plain_kind<std::bad_cast>("std::bad_cast"),
            plain_kind<std::bad_any_cast>("std::bad_any_cast"),
            plain_kind<std::bad_typeid>("std::bad_typeid"),
            plain_kind<std::bad_exception>("std::bad_exception"),
            plain_kind<std::bad_weak_ptr>("std::bad_weak_ptr"),
            plain_kind<std::bad_function_call>("std::bad_function_call"),
            plain_kind<std::bad_optional_access>("std::bad_optional_access"),
            plain_kind<std::bad_variant_access>("std::bad_variant_access"),
            code_kind<std::system_error>("std::system_error"),
            code_kind<std::ios_base::failure>("std::ios_base::failure"),
            filesystem_kind(),
            text_kind<Error>("multiproc::Error"),
            text_kind<BootstrapError>("multiproc::BootstrapError"),
            text_kind<StartError>("multiproc::StartError"),
            text_kind<CodecError>("multiproc::CodecError"),
            text_kind<TimeoutError>("multiproc::TimeoutError"),
            text_kind<CancelledError>("multiproc::CancelledError"),
            text_kind<ClosedError>("multiproc::ClosedError"),
            text_kind<BrokenPool>("multiproc::BrokenPool"),
            text_kind<EndOfFile>("multiproc::EndOfFile"),
            text_kind<queue::Empty>("multiproc::queue::Empty"),
            text_kind<queue::Full>("multiproc::queue::Full"),
            text_kind<BrokenBarrierError>("multiproc::BrokenBarrierError"),
            text_kind<NetworkError>("multiproc::NetworkError"),
            text_kind<AuthenticationError>("multiproc::AuthenticationError"),
            text_kind<ProtocolError>("multiproc::ProtocolError"),
            text_kind<IncompleteMessage>("multiproc::IncompleteMessage"),
            text_kind<Interrupted>("multiproc::Interrupted"),
            worker_died_kind(),
        };
    }

    std::atomic<Entry*> first_{nullptr};
};

}  // namespace

void add_error_kind(ErrorKind kind) {
    Registry& all = of_this_program<Registry>();
    for (const Entry* known = all.first(); known != nullptr; known = Registry::next(known)) {
        if (known->kind.name != kind.name) continue;
        if (*known->kind.type == *kind.type) return;
        throw std::invalid_argument("multiproc: register_error: another type of error has the name \"" + kind.name +
                                    "\"; give this one a name of its own");
    }
    all.add(std::move(kind), false);
}

std::vector<const ErrorKind*> kinds_of(const std::exception& error) {
    const Registry& all = of_this_program<Registry>();
    const ErrorKind* best = nullptr;
    const ErrorKind* best_built_in = nullptr;
    for (const Entry* known = all.first(); known != nullptr; known = Registry::next(known)) {
        const ErrorKind& kind = known->kind;
        if (!kind.matches(error)) continue;
        const bool exact = *kind.type == typeid(error);
        const auto improves = [&](const ErrorKind* on) { return !on || exact || on->catches(kind.throw_null); };
        if (known->is_built_in && improves(best_built_in)) best_built_in = &kind;
        if (improves(best)) best = &kind;
    }
    std::vector<const ErrorKind*> kinds;
    if (best) kinds.push_back(best);
    if (best_built_in && best_built_in != best) kinds.push_back(best_built_in);
    return kinds;
}

const ErrorKind* kind_named(std::string_view name) {
    const Registry& all = of_this_program<Registry>();
    for (const Entry* known = all.first(); known != nullptr; known = Registry::next(known)) {
        if (known->kind.name == name) return &known->kind;
    }
    return nullptr;
}

}  // namespace multiproc::detail
