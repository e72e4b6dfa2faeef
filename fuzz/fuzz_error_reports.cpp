// What a worker reports of an exception: whatever the bytes are, an error that can be thrown, caught as std::exception
// and reported on; and the report of that says the same.
#include <exception>
#include <filesystem>
#include <future>
#include <stdexcept>
#include <system_error>
#include <variant>

#include <multiproc/errors.hpp>
#include <multiproc/remote_error.hpp>

#include "error_transport.hpp"
#include "target.hpp"

namespace {

using namespace multiproc::fuzz;

struct Own : std::runtime_error {
    Own() : std::runtime_error("own") {}
    explicit Own(const std::string& text) : std::runtime_error(text) {}
    std::vector<std::string> fields;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(fields);
    }
};
[[maybe_unused]] const bool own_travels = multiproc::register_error<Own>("own");

std::exception_ptr decode(Bytes bytes) {
    multiproc::InputBuffer in(bytes);
    return multiproc::decode_exception(in);
}

struct Said {
    std::string text;
    multiproc::RemoteError::Origin origin;
    ByteVector report;
};

Said say(const std::exception_ptr& error) {
    require(error != nullptr, "there is an error");
    Said said;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& caught) {
        said.text = caught.what();
        if (const auto* remote = dynamic_cast<const multiproc::RemoteError*>(&caught))
            said.origin = {remote->type_name(), remote->text(), remote->pid(), remote->task()};
        multiproc::HeapBuffer out;
        multiproc::encode_current_exception(out, 1, "task");
        said.report.assign(out.bytes().begin(), out.bytes().end());
    } catch (...) { require(false, "every error is a std::exception"); }
    return said;
}

void run(Bytes bytes) {
    const Said first = say(decode(bytes));
    const Said second = say(decode(first.report));
    const Said third = say(decode(second.report));
    require(third.text == second.text, "an error that travels on keeps its text");
    require(third.origin.type_name == second.origin.type_name && third.origin.text == second.origin.text &&
                third.origin.pid == second.origin.pid && third.origin.task == second.origin.task,
            "an error that travels on keeps its origin");
}

template <class E>
Seed seed(const char* name, const E& error) {
    return {name, say(std::make_exception_ptr(error)).report};
}

Seeds seeds() {
    Own own("text");
    own.fields = {"a", "b"};
    return {seed("own", own),
            seed("out_of_range", std::out_of_range("no such index")),
            seed("system_error", std::system_error(std::make_error_code(std::errc::io_error), "reading")),
            seed("filesystem",
                 std::filesystem::filesystem_error("copying", "from", "to", std::make_error_code(std::errc::io_error))),
            seed("future", std::future_error(std::future_errc::broken_promise)),
            seed("bad_variant", std::bad_variant_access()),
            seed("worker_died", multiproc::WorkerDied(multiproc::ExitStatus::signalled(9), 42, "task")),
            seed("codec", multiproc::CodecError("damaged")),
            seed("bad_alloc", std::bad_alloc())};
}

const Target target("error_reports", &run, &seeds);

}  // namespace
