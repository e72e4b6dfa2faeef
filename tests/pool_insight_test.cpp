// What a pool tells about itself: statistics, and the timeline.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/die.hpp"
#include "support/each_start_method.hpp"
#include "support/gate.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;
using namespace std::chrono_literals;

class PoolStatistics : public mp::test::EachStartMethod {};
class PoolTimeline : public mp::test::EachStartMethod {};

int twice(int number) { return 2 * number; }
int odd_throws(int number) {
    if (number % 2 != 0) throw std::domain_error("odd");
    return number;
}
[[noreturn]] int die(int) { mp::test::die(mp::test::Death::kill); }
int take_time(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {}
    return 1;
}

// ---- statistics ----

TEST_F(PoolStatistics, CountTasksAndFailures) {
    mp::Pool pool(2);
    EXPECT_EQ(pool.stats().tasks, 0u);
    EXPECT_TRUE(pool.stats().workers.empty());
    for (int i = 0; i < 10; ++i) pool.apply(twice, i);
    pool.map(twice, std::views::iota(0, 1000));
    EXPECT_THROW(pool.map(odd_throws, std::views::iota(0, 100), 7), std::domain_error);
    const mp::PoolStats stats = pool.stats();
    EXPECT_EQ(stats.tasks, 1110u);
    EXPECT_EQ(stats.failures, 50u);
    EXPECT_EQ(stats.restarts, 0u);
    EXPECT_EQ(stats.waiting_tasks, 0u);
    EXPECT_GE(stats.messages, 12u);
    EXPECT_LE(stats.messages, 1110u);
}

TEST_F(PoolStatistics, CountBytes) {
    mp::Pool pool(1);
    const std::string text(10'000, 'x');
    pool.apply([](const std::string& given) { return given + given; }, text);
    const std::string large(1'000'000, 'x');  // travels in a segment
    pool.apply([](const std::string& given) { return given; }, large);
    const mp::PoolStats stats = pool.stats();
    EXPECT_GE(stats.bytes_sent, 1'010'000u);
    EXPECT_LE(stats.bytes_sent, 1'010'200u);
    EXPECT_GE(stats.bytes_received, 1'020'000u);
    EXPECT_LE(stats.bytes_received, 1'020'200u);
}

TEST_F(PoolStatistics, ThePoolsAreTheSumsOverItsWorkers) {
    mp::Pool pool({.workers = 3, .name = "Counter"});
    pool.map(twice, std::views::iota(0, 500), 1);
    const mp::PoolStats stats = pool.stats();
    ASSERT_EQ(stats.workers.size(), 3u);
    mp::WorkerStats sum;
    std::set<std::string> names;
    std::vector<std::uint32_t> pids;
    for (const mp::WorkerStats& worker : stats.workers) {
        sum.tasks += worker.tasks;
        sum.messages += worker.messages;
        sum.bytes_sent += worker.bytes_sent;
        sum.bytes_received += worker.bytes_received;
        sum.running += worker.running;
        names.insert(worker.name);
        pids.push_back(worker.pid);
        EXPECT_GE(worker.running, 0ns);
        EXPECT_GE(worker.waiting, 0ns);
    }
    EXPECT_EQ(names, (std::set<std::string>{"Counter-1", "Counter-2", "Counter-3"}));
    EXPECT_EQ(pids, pool.worker_pids());
    EXPECT_EQ(stats.tasks, 500u);
    EXPECT_EQ(stats.tasks, sum.tasks);
    EXPECT_EQ(stats.messages, sum.messages);
    EXPECT_EQ(stats.messages, 500u);
    EXPECT_EQ(stats.bytes_sent, sum.bytes_sent);
    EXPECT_EQ(stats.bytes_received, sum.bytes_received);
    EXPECT_EQ(stats.running, sum.running);
}

TEST_F(PoolStatistics, SayWhatIsWaitingAndHowLongTasksRan) {
    mp::Pool pool(1);
    const mp::test::Gate gate;
    const mp::AsyncResult<int> first = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    std::vector<mp::AsyncResult<int>> behind;
    for (int i = 0; i < 50; ++i) behind.push_back(pool.apply_async(twice, i));
    EXPECT_EQ(pool.stats().waiting_tasks, 51u);
    gate.open();
    for (const auto& result : behind) result.wait();
    EXPECT_EQ(pool.stats().waiting_tasks, 0u);
    const std::chrono::nanoseconds before = pool.stats().running;
    pool.apply(take_time, 60ms);
    const mp::PoolStats after = pool.stats();
    EXPECT_GE(after.running - before, 60ms);
    EXPECT_EQ(after.workers.front().running, after.running);
}

// Takes 20 ms to be written and 30 ms to be read.
struct SlowToTravel {
    int number = 0;
    template <class Archive>
    void save(Archive& archive) const {
        take_time(20ms);
        archive(number);
    }
    template <class Archive>
    void load(Archive& archive) {
        take_time(30ms);
        archive(number);
    }
};
SlowToTravel think(const SlowToTravel& given) {
    take_time(60ms);
    return given;
}

TEST_F(PoolStatistics, TellWhatWorkersSpendOnDecodingAndEncoding) {
    for (const int workers : {1, 0}) {
        mp::Pool pool(workers);
        pool.apply(take_time, 60ms);
        const mp::PoolStats before = pool.stats();
        EXPECT_GE(before.running - before.encoding, 60ms) << "a function's own time is not in it";
        pool.apply(think, SlowToTravel{3});
        const mp::PoolStats after = pool.stats();
        EXPECT_GE(after.encoding - before.encoding, 50ms);
        EXPECT_GE(after.running - before.running, 110ms);
        EXPECT_GE((after.running - after.encoding) - (before.running - before.encoding), 60ms);
        for (const mp::WorkerStats& worker : after.workers) EXPECT_EQ(worker.encoding, after.encoding);
    }
}

TEST_F(PoolStatistics, CountAsRestartsOnlyWorkersInThePlaceOfDeadOnes) {
    mp::Pool pool(1);
    pool.apply(twice, 1);
    pool.resize(3);
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == 3; }));
    EXPECT_EQ(pool.stats().restarts, 0u);
    EXPECT_THROW(pool.apply(die, 1), mp::WorkerDied);
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == 3; }));
    EXPECT_TRUE(mp::test::holds_soon([&] { return pool.stats().restarts == 1; }));
    mp::Pool brief({.workers = 1, .max_tasks_per_worker = 1});
    for (int i = 0; i < 3; ++i) brief.apply(twice, i);
    EXPECT_EQ(brief.stats().restarts, 0u);
}

TEST_F(PoolStatistics, OfWorkersThatAreGoneStayInTheSums) {
    mp::Pool pool(1);
    pool.apply(twice, 1);
    EXPECT_THROW(pool.apply(die, 1), mp::WorkerDied);
    EXPECT_EQ(pool.apply(twice, 2), 4);
    const mp::PoolStats stats = pool.stats();
    EXPECT_EQ(stats.tasks, 3u);
    EXPECT_EQ(stats.failures, 1u);
    EXPECT_EQ(stats.restarts, 1u);
    ASSERT_EQ(stats.workers.size(), 1u);
    EXPECT_EQ(stats.workers.front().tasks, 1u);
    EXPECT_EQ(stats.workers.front().name, "PoolWorker-2");
    pool.close();
    pool.join();
    EXPECT_EQ(pool.stats().tasks, 3u);
    EXPECT_TRUE(pool.stats().workers.empty());
}

TEST_F(PoolStatistics, DoNotCountInitializersAndCancelledTasksThatNeverRan) {
    mp::Pool pool({.workers = 1, .initializer = [] {}, .finalizer = [] {}});
    const mp::test::Gate gate;
    const mp::AsyncResult<int> first = pool.apply_async(mp::test::pass_gate, gate.path(), 1);
    const mp::AsyncResult<int> second = pool.apply_async(twice, 1);
    EXPECT_TRUE(second.cancel());
    gate.open();
    first.wait();
    pool.close();
    pool.join();
    EXPECT_EQ(pool.stats().tasks, 1u);
    EXPECT_EQ(pool.stats().failures, 0u);
    EXPECT_EQ(pool.stats().waiting_tasks, 0u);
}

// ---- the timeline ----

// As much of JSON as there is in a trace. Throws std::runtime_error for anything that is not JSON.
struct Json {
    std::map<std::string, Json> members;
    std::vector<Json> elements;
    std::string text;
    double number = 0;
    bool truth = false;

    const Json& operator[](const std::string& name) const {
        const auto found = members.find(name);
        if (found == members.end()) throw std::runtime_error("no member " + name);
        return found->second;
    }
    bool has(const std::string& name) const { return members.count(name) != 0; }
};

class JsonReader {
public:
    static Json read(std::string_view text) {
        JsonReader reader(text);
        Json value = reader.value();
        if (reader.peek() != '\0') reader.fail("something behind the end");
        return value;
    }

private:
    explicit JsonReader(std::string_view text) : text_(text) {}

    [[noreturn]] void fail(const std::string& why) const {
        throw std::runtime_error("not JSON at byte " + std::to_string(at_) + ": " + why);
    }
    char peek() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    void expect(char c) {
        if (peek() != c) fail(std::string("no ") + c);
        ++at_;
    }
    bool skip(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) return false;
        at_ += word.size();
        return true;
    }
    Json value() {
        Json result;
        switch (peek()) {
            case '{':
                ++at_;
                if (peek() == '}') break;
                for (;; expect(',')) {
                    std::string name = string();
                    expect(':');
                    if (!result.members.emplace(std::move(name), value()).second) fail("a member twice");
                    if (peek() == '}') break;
                }
                break;
            case '[':
                ++at_;
                if (peek() == ']') break;
                for (;; expect(',')) {
                    result.elements.push_back(value());
                    if (peek() == ']') break;
                }
                break;
            case '"': result.text = string(); return result;
            case 't':
            case 'f':
                result.truth = skip("true");
                if (!result.truth && !skip("false")) fail("no value");
                return result;
            default: result.number = read_number(); return result;
        }
        ++at_;
        return result;
    }
    std::string string() {
        expect('"');
        std::string result;
        for (;; ++at_) {
            if (at_ >= text_.size()) fail("a string without end");
            const char c = text_[at_];
            if (static_cast<unsigned char>(c) < 0x20) fail("a control character");
            if (c == '"') break;
            if (c != '\\') {
                result += c;
                continue;
            }
            const char escaped = at_ + 1 < text_.size() ? text_[++at_] : '\0';
            if (escaped == '"' || escaped == '\\') {
                result += escaped;
            } else if (escaped == 'u' && at_ + 4 < text_.size()) {
                result += static_cast<char>(std::stoi(std::string(text_.substr(at_ + 1, 4)), nullptr, 16));
                at_ += 4;
            } else {
                fail("an escape");
            }
        }
        ++at_;
        return result;
    }
    double read_number() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && std::string_view("-.0123456789").find(text_[at_]) != std::string_view::npos) ++at_;
        if (begin == at_) fail("no value");
        return std::stod(std::string(text_.substr(begin, at_ - begin)));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

// The events of the file, sorted out.
struct Timeline {
    explicit Timeline(const std::string& path) {
        const Json whole = JsonReader::read(mp::test::read_file(path));
        for (const Json& event : whole["traceEvents"].elements) {
            const std::string& kind = event["ph"].text;
            if (kind == "X") {
                tasks.push_back(event);
            } else if (kind == "M" && event["name"].text == "thread_name") {
                rows[static_cast<int>(event["tid"].number)] = event["args"]["name"].text;
            }
        }
    }
    std::size_t failed() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(tasks, [](const Json& t) { return t.has("args") && t["args"]["failed"].truth; }));
    }
    // Every box is in a row, and those of a row do not overlap.
    void check() const {
        std::map<int, std::vector<std::pair<double, double>>> boxes;
        for (const Json& task : tasks) {
            const int row = static_cast<int>(task["tid"].number);
            EXPECT_EQ(rows.count(row), 1u);
            EXPECT_GE(task["dur"].number, 0);
            boxes[row].emplace_back(task["ts"].number, task["ts"].number + task["dur"].number);
        }
        for (auto& [row, list] : boxes) {
            std::ranges::sort(list);
            for (std::size_t i = 1; i < list.size(); ++i) EXPECT_LE(list[i - 1].second, list[i].first + 0.002) << row;
        }
    }

    std::vector<Json> tasks;
    std::map<int, std::string> rows;
};

TEST_F(PoolTimeline, HasOneBoxATaskAndOneRowAWorker) {
    const mp::test::TemporaryDirectory directory;
    const std::string path = directory.file("trace.json");
    std::vector<std::uint32_t> pids;
    {
        mp::Pool pool({.workers = 2, .trace = path, .name = "Row"});
        pool.map(twice, std::views::iota(0, 300), 50);
        std::vector<mp::AsyncResult<int>> results;
        for (int i = 0; i < 200; ++i) results.push_back(pool.apply_async(twice, i));
        for (const auto& result : results) result.get();
        pids = pool.worker_pids();
    }
    const Timeline timeline(path);
    timeline.check();
    EXPECT_EQ(timeline.tasks.size(), 500u);
    EXPECT_EQ(timeline.failed(), 0u);
    ASSERT_EQ(timeline.rows.size(), 2u);
    EXPECT_EQ(timeline.rows.at(1), "Row-1 (" + std::to_string(pids[0]) + ")");
    EXPECT_EQ(timeline.rows.at(2), "Row-2 (" + std::to_string(pids[1]) + ")");
    for (const Json& task : timeline.tasks) EXPECT_EQ(task["name"].text.substr(0, 3), "int");
}

TEST_F(PoolTimeline, ShowsHowLongATaskTook) {
    const mp::test::TemporaryDirectory directory;
    const std::string path = directory.file("trace.json");
    {
        mp::Pool pool({.workers = 1, .trace = path});
        pool.apply(take_time, 40ms);
        pool.close();
        pool.join();
    }
    const Timeline timeline(path);
    ASSERT_EQ(timeline.tasks.size(), 1u);
    EXPECT_GE(timeline.tasks.front()["dur"].number, 40'000);
}

TEST_F(PoolTimeline, HasFailedTasksToo) {
    const mp::test::TemporaryDirectory directory;
    const std::string path = directory.file("trace.json");
    {
        mp::Pool pool({.workers = 2, .initializer = [] {}, .trace = path});
        const mp::test::Gate never;
        EXPECT_THROW(pool.map(odd_throws, std::views::iota(0, 20)), std::domain_error);  // 10 fail
        EXPECT_THROW(pool.apply(die, 1), mp::WorkerDied);
        EXPECT_THROW(pool.with({.timeout = 30ms}).apply(mp::test::pass_gate, never.path(), 1), mp::TimeoutError);
        EXPECT_EQ(pool.apply(twice, 1), 2);
        ASSERT_TRUE(mp::test::holds_soon([&] { return pool.worker_pids().size() == 2; }));
        pool.close();
        pool.join();
    }
    const Timeline timeline(path);
    timeline.check();
    EXPECT_EQ(timeline.tasks.size(), 23u);
    EXPECT_EQ(timeline.failed(), 12u);
    EXPECT_EQ(timeline.rows.size(), 4u);  // two workers were replaced
    const auto late = std::ranges::find_if(
        timeline.tasks, [](const Json& t) { return t["name"].text.find("string") != std::string::npos; });
    ASSERT_NE(late, timeline.tasks.end());
    EXPECT_GE((*late)["dur"].number, 30'000);
}

TEST_F(PoolTimeline, IsValidAlsoIfNothingRanAndWithNamesThatNeedEscaping) {
    const mp::test::TemporaryDirectory directory;
    const std::string unused = directory.file("unused.json");
    { mp::Pool pool({.workers = 1, .trace = unused}); }
    EXPECT_TRUE(Timeline(unused).tasks.empty());
    const std::string path = directory.file(
        "tr\xC3\xA4"
        "ce.json");
    {
        mp::Pool pool({.workers = 1, .trace = path, .name = "a \"quoted\\ name\n"});
        pool.apply(twice, 1);
    }
    const Timeline timeline(path);
    EXPECT_EQ(timeline.rows.at(1).substr(0, 17), "a \"quoted\\ name\n-");
    EXPECT_EQ(timeline.tasks.size(), 1u);
}

TEST_F(PoolTimeline, AFileThatCannotBeWrittenIsRefused) {
    const mp::test::TemporaryDirectory directory;
    EXPECT_THROW(mp::Pool({.workers = 1, .trace = directory.file("no such directory/trace.json")}), std::system_error);
}

}  // namespace
