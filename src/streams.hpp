// The part of flushing that is the same on all systems.
#pragma once

#include <iostream>

namespace multiproc {

// Flushes the standard streams of C++, narrow and wide. Not every stream that is open: those are the task's own
// business, and a thread that waits in one of them would hold its lock.
inline void flush_iostreams() noexcept {
    const auto flush = [](auto& stream) {
        try {
            stream.flush();
        } catch (...) {  // the program asked for exceptions from this stream
        }
    };
    for (std::ostream* stream : {&std::cout, &std::cerr, &std::clog}) flush(*stream);
    for (std::wostream* stream : {&std::wcout, &std::wcerr, &std::wclog}) flush(*stream);
}

}  // namespace multiproc
