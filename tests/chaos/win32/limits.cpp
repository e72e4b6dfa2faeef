// What Windows has no limits for, and no signals.
#include "../port.hpp"

namespace chaos::port {

bool can_stop() noexcept { return false; }
bool can_fail_calls() noexcept { return false; }
bool can_limit() noexcept { return false; }
bool can_limit_processes() noexcept { return false; }
void limit_descriptors(std::uint32_t) {}
void limit_address_space(std::uint64_t) {}
void lift_limits() noexcept {}
std::vector<std::string> shared_names() { return {}; }

}  // namespace chaos::port
