#include "preload.hpp"

#include <atomic>
#include <stdexcept>

#include <multiproc/codec.hpp>

#include "error_transport.hpp"
#include "local_run.hpp"
#include "sandbox.hpp"
#include "task_ref.hpp"

namespace multiproc {
namespace {

// What ran in this process, or in the one that it is a copy of. Entries are never freed, and there is no mutex, which a
// copy made by fork could find locked for ever.
struct Done {
    std::string message;
    const Done* before;
};
std::atomic<const Done*> last_done{nullptr};

bool is_done(const std::string& message) noexcept {
    for (const Done* done = last_done.load(std::memory_order_acquire); done != nullptr; done = done->before)
        if (done->message == message) return true;
    return false;
}

struct EncodedCall {
    TaskPlace place;
    std::string modules;
    std::string name;
    std::vector<std::byte> arguments;
};

EncodedCall encoded(const detail::StoredCall& call) {
    const TaskRef& task = refer(call.target);
    return {task.place, task.modules, task.name, call.bytes};
}

// Throws what the call throws.
void run(const EncodedCall& call) {
    const ResolvedTask task = resolve(call.place, call.modules);
    const std::vector<LocalRun::Item> items =
        LocalRun().run({task.descriptor, task.function}, call.name, call.arguments, {}, 1);
    if (!items.front().is_error) return;
    InputBuffer in(items.front().bytes);
    std::rethrow_exception(decode_exception(in));
}

// Run in a worker, as its first task.
struct SetUp {
    std::string preload;
    std::optional<EncodedCall> initializer;
    void operator()() const {
        if (!preload.empty()) preload_once(preload);
        if (initializer) run(*initializer);
        close_sandbox();  // where there is one to be closed
    }
};

}  // namespace

std::string encode_preload(const detail::StoredCall& call) {
    HeapBuffer out;
    encode(out, encoded(call));
    return {reinterpret_cast<const char*>(out.bytes().data()), out.size()};
}

void preload_once(const std::string& message) {
    if (is_done(message)) return;
    InputBuffer in(std::as_bytes(std::span(message.data(), message.size())));
    run(decode<EncodedCall>(in));
    auto* const done = new Done{message, last_done.load(std::memory_order_acquire)};
    while (!last_done.compare_exchange_weak(done->before, done, std::memory_order_acq_rel)) {}
}

void preload_in_server(const std::string& message) noexcept {
    try {
        preload_once(message);
    } catch (...) {}  // each worker runs it again, and tells
}

detail::StoredCall set_up_call(const std::string& preload, const detail::StoredCall& initializer) {
    using Task = detail::Task<SetUp>;
    SetUp set_up{preload, std::nullopt};
    if (initializer) set_up.initializer = encoded(initializer);
    HeapBuffer out;
    detail::StoredCall call;
    call.target = Task::target(set_up);
    Task::write_callable(out, set_up);
    Task::write_item(out);
    call.bytes.assign(out.bytes().begin(), out.bytes().end());
    call.attachments = initializer.attachments;
    return call;
}

}  // namespace multiproc
