// Decoding JPEG. CMake compiles jpeg_turbo.cpp where libjpeg is found and jpeg_stb.cpp elsewhere.
#pragma once

#include "image.hpp"

namespace thumbnails {

bool is_jpeg(ByteView file);

/// What the header of a JPEG file says, without decoding it.
struct JpegHeader {
    int orientation = 1;         ///< the Exif orientation, 1 to 8
    std::size_t scan_begin = 0;  ///< where the compressed picture begins, 0 if there is none
};
JpegHeader read_jpeg_header(ByteView file);

/// See `decode`; the orientation is not yet applied.
Image decode_jpeg(ByteView file, int box);

}  // namespace thumbnails
