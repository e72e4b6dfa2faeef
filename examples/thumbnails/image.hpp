// A picture in memory, and the three things the program does with pictures: decode, shrink, encode.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace thumbnails {

using Bytes = std::vector<unsigned char>;
using ByteView = std::span<const unsigned char>;

/// Eight bits each of red, green and blue, row by row from the top left, without gaps.
struct Image {
    int width = 0;
    int height = 0;
    Bytes pixels;

    Image() = default;
    Image(int width_pixels, int height_pixels)
        : width(width_pixels), height(height_pixels), pixels(offset(0, height_pixels)) {}

    unsigned char* at(int x, int y) { return pixels.data() + offset(x, y); }
    const unsigned char* at(int x, int y) const { return pixels.data() + offset(x, y); }

private:
    std::size_t offset(int x, int y) const {
        return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) * 3;
    }
};

struct Size {
    int width = 0;
    int height = 0;
};

/// The size of a `width` x `height` picture fitted inside a square of `box` pixels: aspect kept, never enlarged.
Size fit(int width, int height, int box);

/// Decodes a JPEG or PNG file. `box` is what the picture will be fitted into: a decoder that can shrink while it
/// decodes gives less than the full size, but at least twice what is needed. Transparent parts come out grey.
/// Throws std::runtime_error with the reason if the picture is broken.
Image decode(ByteView file, int box);

/// The picture at a size not larger than its own: every pixel is the average of the light of those that it covers.
Image shrink(const Image& source, Size size);

/// Turns and mirrors as the Exif orientation 1 to 8 asks for: cameras store what the sensor saw and how it was held.
Image orient(const Image& source, int orientation);

Bytes encode_jpeg(const Image& image);
Bytes encode_png(const Image& image);

}  // namespace thumbnails
