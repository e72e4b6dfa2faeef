// The work that is handed to other processes: plain structs go there and come back, a free function is called there.
#pragma once

#include <filesystem>
#include <string>

#include "image.hpp"

namespace thumbnails {

/// One thumbnail to make. A plain struct of standard types travels to a worker as it is.
struct Job {
    std::filesystem::path picture;
    std::filesystem::path thumbnail;
    int size = 0;  ///< the thumbnail is fitted inside a square of so many pixels
};

/// Makes the thumbnail and returns its size. The file appears whole or not at all.
/// Throws std::runtime_error, which the pool throws again in the process that asks for the result.
Size make_thumbnail(const Job& job);

/// The same work without leaving a file and without failing: gets a worker going, and says how many seconds it took.
double rehearse(const Job& job);

/// The same for workers that can open no files: from the bytes of a picture to those of its thumbnail.
Bytes make_thumbnail_of(const Bytes& picture, int size);
double rehearse_with(const Bytes& picture, int size);

Bytes read_file(const std::filesystem::path& path);

/// Writes beside the final name, then renames: whoever reads `path`, or stops the program, never meets half a file.
void write_file(const std::filesystem::path& path, ByteView bytes);

/// Where `write_file` writes before it renames. A worker that is stopped in between leaves this file to its parent.
std::filesystem::path unfinished(std::filesystem::path path);

/// The path as UTF-8, to be printed.
std::string to_text(const std::filesystem::path& path);

}  // namespace thumbnails
