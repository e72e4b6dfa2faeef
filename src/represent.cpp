#include <multiproc/detail/represent.hpp>

#include <stdexcept>

namespace multiproc::detail {

void throw_no_key(const std::string& key) { throw std::out_of_range("multiproc: this dict has no key " + key); }
void throw_empty(const char* what) {
    throw std::out_of_range(std::string("multiproc: nothing can be taken out of an empty ") + what);
}
void throw_no_index(std::int64_t index, std::size_t size) {
    throw std::out_of_range("multiproc: index " + std::to_string(index) + " of a list of " + std::to_string(size));
}
void throw_no_value(const std::string& value) {
    throw std::invalid_argument("multiproc: the value " + value + " is not in this list");
}
void throw_no_attribute(const std::string& name) {
    throw std::out_of_range("multiproc: this namespace has no attribute \"" + name + "\"");
}

}  // namespace multiproc::detail
