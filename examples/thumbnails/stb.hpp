// What the program uses of the single-file libraries stb_image and stb_image_write.
#pragma once

#include "image.hpp"

namespace thumbnails {

/// Decodes PNG or JPEG at full size. Throws std::runtime_error with the reason.
Image decode_with_stb(ByteView file);

}  // namespace thumbnails
