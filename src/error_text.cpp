#include "error_text.hpp"

#include <typeinfo>

#include <multiproc/errors.hpp>

#include "os.hpp"

namespace multiproc {

std::string current_exception_text() {
    try {
        throw;
    } catch (const std::exception& error) {
        // An error that came from another process is named as it was there.
        const auto* remote = dynamic_cast<const RemoteError*>(&error);
        const std::string type = remote != nullptr ? remote->type_name() : os::demangle(typeid(error).name());
        return type + ": " + error.what();
    } catch (...) { return "an exception that is no std::exception"; }
}

std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (...) { return current_exception_text(); }
}

}  // namespace multiproc
