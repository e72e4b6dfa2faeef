// The main program of the port layer's tests. Started by `launch` it is a child that runs one function, else it runs
// the tests.
#include "os_child.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <thread>

namespace multiproc::os::test {

namespace {

// A function-local static, because children's functions register before main in any order.
std::map<std::string, ChildFunction>& functions() {
    static std::map<std::string, ChildFunction> all;
    return all;
}

template <std::size_t Size>
void put(std::array<char, Size>& target, const std::string& text) {
    if (text.size() >= Size) {
        std::fprintf(stderr, "the text has %zu bytes, there is room for %zu\n", text.size(), Size - 1);
        exit_now(99);
    }
    std::memcpy(target.data(), text.c_str(), text.size() + 1);
}

[[noreturn]] void run_child(Bootstrap bootstrap) {
    std::uint32_t code = 98;
    try {
        settle(bootstrap, "os-test-child");
        Segment segment = Segment::adopt(std::move(bootstrap.handles.at(0)), sizeof(Stage));
        Stage& stage = *reinterpret_cast<Stage*>(segment.data());
        std::vector<Handle> handles;
        for (std::size_t i = 1; i < bootstrap.handles.size(); ++i) handles.push_back(std::move(bootstrap.handles[i]));
        ChildArgs args{stage, segment, std::move(handles), bootstrap.parent_pid};
        code = functions().at(stage.function.data())(args);
    } catch (const std::exception& error) { std::fprintf(stderr, "the child's function failed: %s\n", error.what()); }
    flush_streams();
    exit_now(code);
}

}  // namespace

Registration::Registration(const char* name, ChildFunction function) {
    if (!functions().emplace(name, function).second) {
        std::fprintf(stderr, "two children's functions are called %s\n", name);
        exit_now(97);
    }
}

void set_answer(Stage& stage, const std::string& text) { put(stage.answer, text); }
std::string text_of(const Stage& stage) { return stage.text.data(); }
std::string answer_of(const Stage& stage) { return stage.answer.data(); }

bool await_word(const std::atomic<std::uint64_t>& word, std::uint64_t value) {
    const Deadline deadline = Clock::now() + patience;
    while (word.load() != value) {
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

void wait_for_the_end() {
    std::this_thread::sleep_for(10 * patience);
    exit_now(96);
}

TestChild::TestChild(StartMethod method, const std::string& function, const StartOptions& options)
    : segment_(Segment::create(sizeof(Stage))), stage_(reinterpret_cast<Stage*>(segment_.data())) {
    put(stage_->function, function);
    put(stage_->text, options.text);
    Launch request;
    request.method = method;
    request.executable = options.executable;
    request.handles = {segment_.handle()};
    request.handles.insert(request.handles.end(), options.handles.begin(), options.handles.end());
    request.out = options.out;
    request.err = options.err;
    request.cwd = options.cwd;
    request.env = options.env;
    request.forked = [](Bootstrap bootstrap) { run_child(std::move(bootstrap)); };
    child_ = launch(request, [end = end_](ExitStatus status) {
        const std::lock_guard lock(end->mutex);
        end->status = status;
        ++end->calls;
        end->changed.notify_all();
    });
}

TestChild::~TestChild() {
    if (child_) child_->signal(Signal::kill);
    if (child_) wait();
}

std::optional<ExitStatus> TestChild::wait() {
    std::unique_lock lock(end_->mutex);
    end_->changed.wait_for(lock, patience, [&] { return end_->status.has_value(); });
    return end_->status;
}

int TestChild::exits() const {
    const std::lock_guard lock(end_->mutex);
    return end_->calls;
}

std::string name_of(StartMethod method) {
    switch (method) {
        case StartMethod::forkserver: return "forkserver";
        case StartMethod::spawn: return "spawn";
        case StartMethod::fork: return "fork";
        case StartMethod::automatic: break;
    }
    return "automatic";
}

}  // namespace multiproc::os::test

int main(int argc, char** argv) {
    using namespace multiproc::os;
    if (is_bootstrap_pending()) {
        std::printf("this must stay invisible\n");  // and unflushed, as a careless main would leave it
        if (auto bootstrap = take_bootstrap()) test::run_child(std::move(*bootstrap));
        std::fprintf(stderr, "there was a bootstrap, but it could not be taken\n");
        return 95;
    }
    testing::InitGoogleTest(&argc, argv);
    const int result = RUN_ALL_TESTS();
    shut_down_launching();
    return result;
}
