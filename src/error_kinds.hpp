// The types of error that travel as themselves.
#pragma once

#include <exception>
#include <string_view>
#include <vector>

#include <multiproc/remote_error.hpp>

namespace multiproc::detail {

/// The kinds that `error` belongs to, at most two: the most derived one, and the most derived one that every process of
/// this program knows without registration. Empty if it is of no kind. Thread-safe.
std::vector<const ErrorKind*> kinds_of(const std::exception& error);

/// The kind of that name, or null. Thread-safe.
const ErrorKind* kind_named(std::string_view name);

}  // namespace multiproc::detail
