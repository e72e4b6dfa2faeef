// A queue of work and a queue of results, between one producer and several consumers.
//
//     def consume(words, lengths):
//         for word in iter(words.get, None):               # None: there is no more
//             lengths.put((word, len(word)))
//
//     words, lengths = Queue(maxsize=2), Queue()
//     consumers = [Process(target=consume, args=(words, lengths)) for _ in range(3)]
//     for c in consumers: c.start()
//     for word in text: words.put(word)
//     for c in consumers: words.put(None)
//     print(sorted(lengths.get() for _ in text))
//     for c in consumers: c.join()
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <multiproc/multiproc.hpp>

namespace {

namespace mp = multiproc;

using Words = mp::Queue<std::optional<std::string>>;  // nothing: there is no more
using Lengths = mp::Queue<std::pair<std::string, std::size_t>>;

void consume(const Words& words, const Lengths& lengths) {
    while (const std::optional<std::string> word = words.get()) lengths.put({*word, word->size()});
}

}  // namespace

int main() {
    mp::freeze_support();

    const Words words(2);  // `put` waits while two words are in it
    const Lengths lengths;
    std::vector<mp::Process<>> consumers;
    for (int i = 0; i < 3; ++i) consumers.emplace_back(consume, words, lengths).start();

    const std::vector<std::string> text{"one", "producer", "and", "three", "consumers"};
    for (const std::string& word : text) words.put(word);
    for (std::size_t i = 0; i < consumers.size(); ++i) words.put(std::nullopt);

    std::map<std::string, std::size_t> sorted;  // consumers finish in any order
    for (std::size_t i = 0; i < text.size(); ++i) sorted.insert(lengths.get());
    for (const auto& [word, length] : sorted) std::cout << word << ' ' << length << '\n';
    for (const auto& consumer : consumers) consumer.join();
}
