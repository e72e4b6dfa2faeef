// What the driver asks of the system, each platform its own way. It does without the library, so that nothing that goes
// wrong there reaches it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <multiproc/exit_status.hpp>

namespace chaos::port {

// Shared memory that any process of this user can map by its name.
std::string new_region_name();
void* map_region(const std::string& name, std::size_t size, bool create);
void remove_region(const std::string& name) noexcept;

// A process of a family. A zombie has ended.
struct Member {
    std::uint32_t pid = 0;
    std::uint32_t parent = 0;
    std::string name;  // what it is called; empty where the system knows no names
    bool is_zombie = false;
};

enum class Strike : std::uint8_t { kill, terminate, stop, go_on };

struct StartOptions {
    std::vector<std::string> arguments;
    std::string directory;        // for temporary files
    std::FILE* errors = nullptr;  // where its standard error goes; null: where the driver's goes
    std::uint64_t processes = 0;  // the family may have so many at most; 0: any number
};

// A program and all that descends from it.
class Family {
public:
    virtual ~Family() = default;
    // Starts this executable.
    static std::unique_ptr<Family> start(const StartOptions& options);

    virtual std::uint32_t pid() const noexcept = 0;  // of the first process
    // Whether the first process has ended, and how.
    virtual bool has_ended(multiproc::ExitStatus& status) = 0;
    // Everybody who is there, the first process included.
    virtual std::vector<Member> members() = 0;
    // Does nothing to one who has ended.
    virtual void strike(std::uint32_t pid, Strike strike) noexcept = 0;
    // Kills all, and takes their ends.
    virtual void end() = 0;
    // Where all of them are, as far as the system tells.
    virtual std::string dump() = 0;
};

bool can_stop() noexcept;
bool can_fail_calls() noexcept;
bool can_limit() noexcept;
// Whether a limit on processes holds for a family: it is that of a user.
bool can_limit_processes() noexcept;

// For the first process of a family: what is left of these resources from now on.
void limit_descriptors(std::uint32_t more);
void limit_address_space(std::uint64_t more);
void lift_limits() noexcept;

// Things in the file system that outlive processes; what was there before does not count.
std::vector<std::string> shared_names();

}  // namespace chaos::port
