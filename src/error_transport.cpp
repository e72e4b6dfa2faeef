#include "error_transport.hpp"

#include <cstddef>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

// Where it exists it names also what is no class (`throw 42`).
#if __has_include(<cxxabi.h>)
#include <cxxabi.h>
#define MULTIPROC_HAS_CXXABI
#endif

#include <multiproc/codec.hpp>
#include <multiproc/errors.hpp>

#include "error_kinds.hpp"
#include "os.hpp"

namespace multiproc {
namespace {

// One way to make the error again. There is a second one for receivers that do not know the first.
struct Choice {
    std::string kind;
    std::vector<std::byte> fields;
};

struct Report {
    RemoteError::Origin origin;
    std::vector<Choice> choices;
};

constexpr int max_causes = 64;

std::string text_of(const std::exception& error) {
    const char* text = error.what();
    return text ? text : "";
}

// What std::throw_with_nested throws is a class of the standard library around the one the user named.
std::string without_nested_wrapper(std::string name) {
    for (const std::string_view wrapper : {"std::_Nested_exception<", "std::__nested<", "std::__1::__nested<"}) {
        if (name.starts_with(wrapper) && name.ends_with('>')) {
            name = name.substr(wrapper.size(), name.size() - wrapper.size() - 1);
            if (name.ends_with(' ')) name.pop_back();
            break;
        }
    }
    return name;
}

std::string type_name_of(const std::exception& error) {
    if (const auto* remote = dynamic_cast<const RemoteError*>(&error)) return remote->type_name();
    return without_nested_wrapper(os::demangle(typeid(error).name()));
}

std::string type_name_of_current() {
#ifdef MULTIPROC_HAS_CXXABI
    if (const std::type_info* type = abi::__cxa_current_exception_type()) return os::demangle(type->name());
#endif
    return "an unknown type";
}

// What the error being handled says, which is no std::exception.
RemoteError::Origin describe_foreign() {
    const std::string type = type_name_of_current();
    const auto number = [&](const char* name, const std::string& value) -> RemoteError::Origin {
        return {name, std::string("a value of type ") + name + " was thrown: " + value, 0, {}};
    };
    try {
        throw;
    } catch (const std::string& text) { return {"std::string", text, 0, {}}; } catch (const char* text) {
        return {"const char*", text ? text : "", 0, {}};
    } catch (int value) { return number("int", std::to_string(value)); } catch (unsigned value) {
        return number("unsigned int", std::to_string(value));
    } catch (long value) { return number("long", std::to_string(value)); } catch (double value) {
        return number("double", std::to_string(value));
    } catch (...) { return {type, "a value of type " + type + " was thrown", 0, {}}; }
}

// The errors that `error` carries inside, one line each.
void append_causes(std::string& text, const std::exception& error, int left) {
    const auto* nested = dynamic_cast<const std::nested_exception*>(&error);
    if (!nested || !nested->nested_ptr() || left == 0) return;
    try {
        nested->rethrow_nested();
    } catch (const std::exception& cause) {
        text += "\ncaused by: " + type_name_of(cause) + ": " + text_of(cause);
        append_causes(text, cause, left - 1);
    } catch (...) {
        const RemoteError::Origin cause = describe_foreign();
        text += "\ncaused by: " + cause.type_name + ": " + cause.text;
    }
}

RemoteError::Origin origin_of(const std::exception& error, std::uint32_t pid, std::string_view task) {
    if (const auto* remote = dynamic_cast<const RemoteError*>(&error)) {
        return {remote->type_name(), remote->text(), remote->pid(), remote->task()};
    }
    RemoteError::Origin origin{type_name_of(error), text_of(error), pid, std::string(task)};
    append_causes(origin.text, error, max_causes);
    return origin;
}

Report report_on(const std::exception& error, std::uint32_t pid, std::string_view task) {
    Report report{origin_of(error, pid, task), {}};
    for (const detail::ErrorKind* kind : detail::kinds_of(error)) {
        try {
            HeapBuffer fields;
            kind->encode(fields, error);
            report.choices.push_back({kind->name, {fields.bytes().begin(), fields.bytes().end()}});
        } catch (...) {
            // The class's own serialize() failed. The next choice is a class above it, and the text is there anyway.
        }
    }
    return report;
}

}  // namespace

void encode_current_exception(OutputBuffer& out, std::uint32_t pid, std::string_view task) {
    Report report;
    try {
        throw;
    } catch (const std::exception& error) { report = report_on(error, pid, task); } catch (...) {
        report.origin = describe_foreign();
        report.origin.pid = pid;
        report.origin.task = task;
    }
    encode(out, report);
}

std::exception_ptr decode_exception(InputBuffer& in) {
    try {
        const Report report = decode<Report>(in);
        for (const Choice& choice : report.choices) {
            const detail::ErrorKind* kind = detail::kind_named(choice.kind);
            if (!kind) continue;
            InputBuffer fields(choice.fields);
            try {
                return kind->decode(fields, report.origin);
            } catch (...) {
                // Wrong bytes, or the class's own serialize() failed: the next choice needs less.
            }
        }
        const std::runtime_error error(report.origin.text);
        return std::make_exception_ptr(Remote<std::runtime_error>(error, report.origin));
    } catch (const CodecError& error) { return std::make_exception_ptr(CodecError(error)); }
}

}  // namespace multiproc
