// Objects of each thread, made when it first needs them and destroyed at its end.
//
// Not a thread_local object with a destructor: with MinGW its memory may be gone by the time that runs. So the object lies
// on the heap, in a table of this process, and what runs at the thread's end looks at nothing but that table. What asks for
// it later still, in the destructor of something else, gets another, which is kept until the program ends.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "os.hpp"
#include "per_process.hpp"

namespace multiproc {

template <class T>
class ThreadObjects {
public:
    // A copy of the process made by fork begins anew.
    static T& get() {
        const std::uint32_t pid = os::current_pid();
        if (cached_.object == nullptr || cached_.pid != pid) {
            end_.is_awaited = true;  // has it constructed
            Table& table = of_this_process<Table>();
            const std::lock_guard lock(table.mutex);
            std::unique_ptr<T>& mine = table.objects[std::this_thread::get_id()];
            if (mine == nullptr) mine = std::make_unique<T>();
            cached_ = {mine.get(), pid};
        }
        return *cached_.object;
    }

private:
    struct Table {
        std::mutex mutex;
        std::unordered_map<std::thread::id, std::unique_ptr<T>> objects;
    };
    struct Cached {
        T* object;
        std::uint32_t pid;
    };
    struct End {
        bool is_awaited = false;
        ~End() {
            Table& table = of_this_process<Table>();
            std::unique_ptr<T> mine;  // destroyed without the mutex
            {
                const std::lock_guard lock(table.mutex);
                const auto found = table.objects.find(std::this_thread::get_id());
                if (found == table.objects.end()) return;
                mine = std::move(found->second);
                table.objects.erase(found);
            }
            cached_ = {};
        }
    };

    static inline thread_local Cached cached_{};
    static inline thread_local End end_{};
};

template <class T>
T& of_this_thread() {
    return ThreadObjects<T>::get();
}

}  // namespace multiproc
