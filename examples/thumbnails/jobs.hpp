// From a folder to the list of jobs.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "thumbnail.hpp"

namespace thumbnails {

/// The JPEG and PNG files in `folder` and the folders below it, in the order of their names; `output` is left out.
/// Throws std::invalid_argument with a message for the user if there is no such folder, or no picture in it.
std::vector<std::filesystem::path> find_pictures(const std::filesystem::path& folder,
                                                 const std::filesystem::path& output);

/// `count` jobs that go through `pictures` as often as it takes. Each thumbnail has a name of its own in `output`.
std::vector<Job> make_jobs(const std::vector<std::filesystem::path>& pictures, std::size_t count,
                           const std::filesystem::path& output, int size);

}  // namespace thumbnails
