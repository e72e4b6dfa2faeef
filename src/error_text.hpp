// An error in words, for standard error.
#pragma once

#include <exception>
#include <string>

namespace multiproc {

// "std::out_of_range: vector::at", from inside a catch block.
std::string current_exception_text();
// The same for an error that is kept.
std::string text_of(const std::exception_ptr& error);

}  // namespace multiproc
