#include "thumbnail.hpp"

#include <cerrno>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>

#include "jpeg.hpp"

namespace thumbnails {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::generic_category().message(errno != 0 ? errno : EIO));
}

Image thumbnail_of(const Bytes& file, int size) {
    const Image picture = decode(file, size);
    const Image small = shrink(picture, fit(picture.width, picture.height, size));
    return orient(small, read_jpeg_header(file).orientation);
}

template <class Work>
double seconds_of(Work work) {
    const auto begin = std::chrono::steady_clock::now();
    try {
        work();
    } catch (const std::exception&) {
        // A broken picture is reported when its turn comes.
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

Size make_thumbnail(const Job& job) {
    const Image thumbnail = thumbnail_of(read_file(job.picture), job.size);
    write_file(job.thumbnail, encode_jpeg(thumbnail));
    return {thumbnail.width, thumbnail.height};
}

double rehearse(const Job& job) {
    return seconds_of([&] { (void)make_thumbnail_of(read_file(job.picture), job.size); });
}

Bytes make_thumbnail_of(const Bytes& picture, int size) { return encode_jpeg(thumbnail_of(picture, size)); }

double rehearse_with(const Bytes& picture, int size) {
    return seconds_of([&] { (void)make_thumbnail_of(picture, size); });
}

Bytes read_file(const fs::path& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) fail("cannot open the file");
    Bytes bytes(static_cast<std::size_t>(file.tellg()));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file) fail("cannot read the file");
    return bytes;
}

void write_file(const fs::path& path, ByteView bytes) {
    const fs::path temporary = unfinished(path);
    try {
        errno = 0;
        std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        file.close();
        if (!file) fail("cannot write " + to_text(path));
        fs::rename(temporary, path);
    } catch (...) {
        std::error_code ignored;
        fs::remove(temporary, ignored);
        throw;
    }
}

fs::path unfinished(fs::path path) {
    path += ".part";
    return path;
}

std::string to_text(const fs::path& path) {
    const std::u8string text = path.u8string();
    return {text.begin(), text.end()};
}

}  // namespace thumbnails
