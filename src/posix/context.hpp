// What a child sees as its parent had it at the start, where it is not the kernel that copies it from the parent: a
// child of the fork server is a copy of the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "descriptors.hpp"

namespace multiproc::os::posix {

// This process's environment now.
char** environment() noexcept;
// Replaces this process's environment.
void set_environment(const std::vector<std::string>& entries);

// The directory a child starts in: `path`, else this process's own, held open. Throws if it is not there or may not be
// entered. Nothing if it is this process's own and cannot be opened; then its name has to do.
Handle open_directory(const std::optional<std::string>& path);
// The name of this process's own. Throws if the system does not tell.
std::string own_directory();

// Environment (`env`, else this process's), file creation mask, limits, affinity, whether SIGHUP is ignored, and the
// directory to enter by its name, if it is not empty.
std::string capture_context(const std::optional<std::vector<std::string>>& env, const std::string& own_status,
                            const std::string& directory);
// Whether SIGHUP was ignored where this was captured.
bool ignores_hangup(const std::string& context);
// What a context says in words.
struct ContextText {
    std::optional<std::string> directory;
    std::vector<std::string> environment;
};
// Nothing if it is none.
std::optional<ContextText> text_of(const std::string& context);
// Makes this process have them. What the system refuses (a limit above the hard one) stays as it is, but a directory that
// cannot be entered is an error.
void apply_context(const std::string& context);

// In a fork server, which runs nothing but this library's code and so stays as it is: finds out what its children would
// each have to ask the system. `apply_context` and `noted_signals` go by it.
void note_own_context();
// The signals whose disposition is not the default: here and now, and where `note_own_context` was called.
std::vector<int> changed_signals();
std::vector<int> noted_signals();

// The limit on processes where this was captured, if it was known.
std::optional<std::uint64_t> process_limit_of(const std::string& context);

// Lowers the limit on processes to that of the requesting process while the server forks for it.
class ProcessLimit {
public:
    explicit ProcessLimit(std::optional<std::uint64_t> wanted);
    ~ProcessLimit();
    ProcessLimit(const ProcessLimit&) = delete;
    ProcessLimit& operator=(const ProcessLimit&) = delete;

private:
    bool changed_ = false;
    unsigned long long before_ = 0;
};

}  // namespace multiproc::os::posix
