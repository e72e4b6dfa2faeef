// Work for whoever comes: a server hands out ranges of numbers over TCP, and helpers on any machine count the primes in
// them.
//
//     example_network                                  server and two helpers, all on this machine
//     example_network serve 0.0.0.0 5000 key.txt       writes a new key to key.txt; copy that to the other machines
//     example_network help 192.168.1.2 5000 key.txt    on each of them
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <multiproc/multiproc.hpp>
#include <multiproc/network.hpp>

namespace mp = multiproc;

namespace {

struct Range {
    std::uint32_t begin = 0, end = 0;
};

constexpr Range everything{2, 200'000};
constexpr std::uint32_t step = 5'000;

std::uint32_t count_primes(Range range) {
    std::uint32_t count = 0;
    for (std::uint32_t n = range.begin; n < range.end; ++n) {
        bool is_prime = true;
        for (std::uint32_t d = 2; is_prime && d * d <= n; ++d) is_prime = n % d != 0;
        if (is_prime) ++count;
    }
    return count;
}

// Gets ranges, sends counts, until the server closes.
void help(const std::string& address, std::uint16_t port, mp::AuthKey key) {
    const auto server = mp::connect<Range, std::uint32_t>({.address = address, .port = port, .key = key});
    try {
        for (;;) server.send(count_primes(server.recv()));
    } catch (const mp::EndOfFile&) {}
}

// What is still to be done. A range whose helper has gone is given to another.
class Work {
public:
    Work() {
        for (std::uint32_t n = everything.begin; n < everything.end; n += step)
            open_.push_back({n, std::min(n + step, everything.end)});
        left_ = open_.size();
    }
    void serve(const mp::RemoteConnection<std::uint32_t, Range>& helper) {
        for (Range range; take(range);) {
            try {
                helper.send(range);
                done(helper.recv());
            } catch (const mp::Error& error) {
                std::cerr << helper.peer() << " has gone: " << error.what() << '\n';
                const std::lock_guard guard(mutex_);
                open_.push_back(range);
                return;
            }
        }
    }
    bool is_done() {
        const std::lock_guard guard(mutex_);
        return left_ == 0;
    }
    std::uint32_t primes() const { return primes_; }

private:
    bool take(Range& range) {
        const std::lock_guard guard(mutex_);
        if (open_.empty()) return false;
        range = open_.back();
        open_.pop_back();
        return true;
    }
    void done(std::uint32_t primes) {
        const std::lock_guard guard(mutex_);
        primes_ += primes;
        --left_;
    }

    std::mutex mutex_;
    std::vector<Range> open_;
    std::size_t left_;
    std::uint32_t primes_ = 0;
};

void serve(const mp::Listener& listener) {
    Work work;
    std::vector<std::thread> threads;
    while (!work.is_done()) {
        try {
            auto helper = listener.accept<std::uint32_t, Range>(std::chrono::milliseconds(200));
            threads.emplace_back([&work, helper = std::move(helper)] { work.serve(helper); });
        } catch (const mp::TimeoutError&) {}
    }
    for (std::thread& thread : threads) thread.join();
    std::cout << work.primes() << " primes below " << everything.end << '\n';
}

mp::Listener listen(const std::string& address, std::uint16_t port, const mp::AuthKey& key) {
    return mp::Listener({.address = address, .port = port, .key = key, .on_refused = [](const mp::RefusedPeer& peer) {
                             try {
                                 std::rethrow_exception(peer.error);
                             } catch (const std::exception& error) {
                                 std::cerr << "refused " << peer.address << ": " << error.what() << '\n';
                             }
                         }});
}

void run(const std::vector<std::string>& arguments) {
    if (arguments.empty()) {
        const mp::AuthKey key = mp::AuthKey::random();
        const mp::Listener listener = listen("127.0.0.1", 0, key);
        mp::Process first(help, listener.address(), listener.port(), key);
        mp::Process second(help, listener.address(), listener.port(), key);
        first.start();
        second.start();
        serve(listener);
        first.result();
        second.result();
        return;
    }
    if (arguments.size() != 4) throw std::invalid_argument("see the first lines of examples/network/main.cpp");
    const auto port = static_cast<std::uint16_t>(std::stoi(arguments[2]));
    if (arguments[0] == "serve") {
        const mp::AuthKey key = mp::AuthKey::random();
        std::ofstream(arguments[3]) << key.hex() << '\n';
        serve(listen(arguments[1], port, key));
    } else {
        std::string digits;
        std::ifstream(arguments[3]) >> digits;
        help(arguments[1], port, mp::AuthKey::from_hex(digits));
    }
}

}  // namespace

int main(int argc, char** argv) {
    mp::freeze_support();
    try {
        run({argv + 1, argv + argc});
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
