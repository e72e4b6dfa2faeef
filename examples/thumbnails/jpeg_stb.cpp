// JPEG by stb_image, for builds without libjpeg: the same pictures, without shrinking while decoding.
#include <stdexcept>

#include "jpeg.hpp"
#include "stb.hpp"

namespace thumbnails {
namespace {

/// stb_image fills what is missing of a cut-off file with grey and reports no error. A compressed picture holds the end
/// marker FF D9 only at its end, since each FF within is followed by a zero; the header may hold one in a preview.
bool is_cut_off(ByteView file) {
    const std::size_t begin = read_jpeg_header(file).scan_begin;
    if (begin == 0) return false;
    for (std::size_t i = file.size(); i >= begin + 2; --i) {
        if (file[i - 2] == 0xFF && file[i - 1] == 0xD9) return false;
    }
    return true;
}

}  // namespace

Image decode_jpeg(ByteView file, int /*box*/) {
    if (is_cut_off(file)) throw std::runtime_error("Premature end of JPEG file");
    return decode_with_stb(file);
}

}  // namespace thumbnails
