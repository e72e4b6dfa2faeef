#include <algorithm>
#include <array>
#include <cstdint>

#include "jpeg.hpp"

namespace thumbnails {
namespace {

// Markers of ITU-T T.81, table B.1.
constexpr unsigned char start_of_image = 0xD8;
constexpr unsigned char start_of_scan = 0xDA;
constexpr unsigned char end_of_image = 0xD9;
constexpr unsigned char application_1 = 0xE1;

/// Reads numbers from a TIFF structure of either byte order. Offsets come from the file, so each one is checked;
/// what lies outside reads as 0.
class TiffReader {
public:
    explicit TiffReader(ByteView bytes) : bytes_(bytes), big_endian_(!bytes.empty() && bytes[0] == 'M') {}

    std::uint32_t number(std::size_t offset, std::size_t size) const {
        if (offset > bytes_.size() || size > bytes_.size() - offset) return 0;
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes_[offset + (big_endian_ ? i : size - 1 - i)];
        return value;
    }

private:
    ByteView bytes_;
    bool big_endian_;
};

int exif_orientation(ByteView segment) {
    constexpr std::array<unsigned char, 6> signature{'E', 'x', 'i', 'f', 0, 0};
    if (segment.size() < signature.size() || !std::equal(signature.begin(), signature.end(), segment.begin())) return 1;

    const TiffReader tiff(segment.subspan(signature.size()));
    constexpr std::uint32_t orientation_tag = 0x0112;
    const std::size_t directory = tiff.number(4, 4);
    const std::size_t entries = tiff.number(directory, 2);
    for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t entry = directory + 2 + 12 * i;
        if (tiff.number(entry, 2) != orientation_tag) continue;
        const auto value = static_cast<int>(tiff.number(entry + 8, 2));
        return value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

}  // namespace

bool is_jpeg(ByteView file) { return file.size() > 2 && file[0] == 0xFF && file[1] == start_of_image; }

JpegHeader read_jpeg_header(ByteView file) {
    JpegHeader header;
    std::size_t position = 2;
    while (position + 4 <= file.size() && file[position] == 0xFF) {
        const unsigned char marker = file[position + 1];
        if (marker == 0xFF) {  // a marker may be preceded by any number of fill bytes
            ++position;
            continue;
        }
        if (marker == end_of_image) break;
        const std::size_t length = static_cast<std::size_t>(file[position + 2]) << 8 | file[position + 3];
        if (length < 2 || length > file.size() - position - 2) break;
        if (marker == start_of_scan) {
            header.scan_begin = position + 2 + length;
            break;
        }
        if (marker == application_1 && header.orientation == 1) {
            header.orientation = exif_orientation(file.subspan(position + 4, length - 2));
        }
        position += 2 + length;
    }
    return header;
}

}  // namespace thumbnails
