#include <limits>
#include <memory>
#include <stdexcept>

// The two libraries are headers that become code in the one file that asks for it.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_WRITE_NO_STDIO
#define STBI_FAILURE_USERMSG
#include <stb_image.h>
#include <stb_image_write.h>

#include "stb.hpp"

namespace thumbnails {
namespace {

constexpr int jpeg_quality = 90;

/// Lays a transparent pixel on grey, which shows dark drawings and white ones.
void blend(const unsigned char* rgba, unsigned char* rgb) {
    constexpr int paper = 128;
    const int alpha = rgba[3];
    for (int channel = 0; channel < 3; ++channel) {
        rgb[channel] = static_cast<unsigned char>((rgba[channel] * alpha + paper * (255 - alpha) + 127) / 255);
    }
}

/// stb_image_write hands over the encoded file piece by piece.
void append(void* file, void* data, int size) {
    const auto* bytes = static_cast<unsigned char*>(data);
    static_cast<Bytes*>(file)->insert(static_cast<Bytes*>(file)->end(), bytes, bytes + size);
}

}  // namespace

Image decode_with_stb(ByteView file) {
    if (file.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
        throw std::runtime_error("the file is too large");
    }
    const auto size = static_cast<int>(file.size());
    int width = 0;
    int height = 0;
    int channels = 0;
    // If the header cannot be read, loading fails too, and knows better why. It refuses a header that claims a size of
    // a gigabyte and more before it takes memory for that.
    stbi_info_from_memory(file.data(), size, &width, &height, &channels);
    const bool has_alpha = channels == 2 || channels == 4;
    const int wanted = has_alpha ? 4 : 3;
    const std::unique_ptr<unsigned char, void (*)(void*)> pixels(
        stbi_load_from_memory(file.data(), size, &width, &height, &channels, wanted), stbi_image_free);
    if (!pixels) throw std::runtime_error(stbi_failure_reason());

    Image image(width, height);
    if (!has_alpha) {
        image.pixels.assign(pixels.get(), pixels.get() + image.pixels.size());
        return image;
    }
    for (std::size_t i = 0; i < image.pixels.size() / 3; ++i) blend(pixels.get() + 4 * i, image.pixels.data() + 3 * i);
    return image;
}

Bytes encode_jpeg(const Image& image) {
    Bytes file;
    if (stbi_write_jpg_to_func(append, &file, image.width, image.height, 3, image.pixels.data(), jpeg_quality) == 0) {
        throw std::runtime_error("cannot encode the picture as JPEG");
    }
    return file;
}

Bytes encode_png(const Image& image) {
    Bytes file;
    const int row_bytes = image.width * 3;
    if (stbi_write_png_to_func(append, &file, image.width, image.height, 3, image.pixels.data(), row_bytes) == 0) {
        throw std::runtime_error("cannot encode the picture as PNG");
    }
    return file;
}

}  // namespace thumbnails
