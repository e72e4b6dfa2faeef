// Makes allocations and system calls fail now and then, in threads that ask for it and in what they call: operator new is
// replaced in this program, and so are the calls listed in posix/faulty_calls.cpp. How often, the ledger says.
#pragma once

namespace chaos::faults {

// What this thread calls while one exists may fail.
class Scope {
public:
    Scope() noexcept;
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();
};

// And while one of these exists, it does not.
class Pause {
public:
    Pause() noexcept;
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;
    ~Pause();

private:
    int depth_;
};

// Whether this allocation or call is to fail.
bool allocation_fails() noexcept;
bool call_fails() noexcept;

}  // namespace chaos::faults
