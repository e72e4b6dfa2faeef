// JPEG by libjpeg(-turbo), which can shrink by 2, 4 or 8 while it decodes: it evaluates only the coarse part of each
// 8 x 8 block's cosine transform. For a large photograph that is several times faster, and Pillow does the same.
#include <csetjmp>
#include <cstdio>
#include <stdexcept>
#include <string>

#include <jpeglib.h>

#include <jerror.h>

#include "jpeg.hpp"

namespace thumbnails {
namespace {

/// libjpeg reports an error by a call that must not return. An exception may not pass through its C frames, so the call
/// jumps back into `start`, `convert` or `finish` below; these hold no object with a destructor that the jump would
/// skip.
struct Decoder {
    jpeg_error_mgr errors{};
    jpeg_decompress_struct info{};
    std::jmp_buf failed{};
    char reason[JMSG_LENGTH_MAX] = {};

    Decoder() {
        info.err = jpeg_std_error(&errors);
        errors.error_exit = [](j_common_ptr common) { fail(common); };
        errors.emit_message = [](j_common_ptr common, int level) {
            if (level < 0 && is_damage(*common->err)) fail(common);
        };
        info.client_data = this;
    }
    ~Decoder() { jpeg_destroy_decompress(&info); }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    [[noreturn]] static void fail(j_common_ptr common) {
        auto* self = static_cast<Decoder*>(common->client_data);
        common->err->format_message(common, self->reason);
        std::longjmp(self->failed, 1);
    }

    /// libjpeg goes on after damaged data, with wrong colours and a warning. The other warnings are about oddities of
    /// programs that write JPEG and leave the picture whole.
    static bool is_damage(const jpeg_error_mgr& errors) {
        switch (errors.msg_code) {
            case JWRN_JPEG_EOF:
            case JWRN_HIT_MARKER:
            case JWRN_HUFF_BAD_CODE:
            case JWRN_ARITH_BAD_CODE:
            case JWRN_MUST_RESYNC: return true;
            // A few stray bytes at the end are common in whole pictures. More mean that the decoder lost its place,
            // which libjpeg-turbo's fast path does not say in any other way.
            case JWRN_EXTRANEOUS_DATA: return errors.msg_parm.i[0] > 8;
            default: return false;
        }
    }
};

/// The largest shrinking that leaves twice the size needed, so that the rest is averaged from enough pixels.
unsigned choose_shrinking(unsigned width, unsigned height, int box) {
    const Size wanted = fit(static_cast<int>(width), static_cast<int>(height), box);
    for (unsigned divisor = 8; divisor > 1; divisor /= 2) {
        if (width / divisor >= 2 * static_cast<unsigned>(wanted.width) &&
            height / divisor >= 2 * static_cast<unsigned>(wanted.height)) {
            return divisor;
        }
    }
    return 1;
}

bool start(Decoder& decoder, ByteView file, int box) noexcept {
    if (setjmp(decoder.failed) != 0) return false;
    jpeg_decompress_struct& info = decoder.info;
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, const_cast<unsigned char*>(file.data()), static_cast<unsigned long>(file.size()));
    jpeg_read_header(&info, TRUE);
    // libjpeg converts everything but the colours of printing to RGB by itself.
    const bool is_for_print = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
    info.out_color_space = is_for_print ? JCS_CMYK : JCS_RGB;
    info.scale_num = 1;
    info.scale_denom = choose_shrinking(info.image_width, info.image_height, box);
    jpeg_start_decompress(&info);
    return true;
}

/// Decodes all rows, each through `line`, into `pixels`.
bool convert(Decoder& decoder, unsigned char* line, unsigned char* pixels) noexcept {
    if (setjmp(decoder.failed) != 0) return false;
    jpeg_decompress_struct& info = decoder.info;
    const std::size_t width = info.output_width;
    while (info.output_scanline < info.output_height) {
        unsigned char* const target = pixels + info.output_scanline * width * 3;
        JSAMPROW row = info.out_color_space == JCS_RGB ? target : line;
        jpeg_read_scanlines(&info, &row, 1);
        if (row == target) continue;
        // Adobe writes these colours inverted, as the light that is left; others write the ink.
        for (std::size_t x = 0; x < width; ++x) {
            const unsigned char* const ink = line + 4 * x;
            for (std::size_t channel = 0; channel < 3; ++channel) {
                const int light =
                    info.saw_Adobe_marker != 0 ? ink[channel] * ink[3] : (255 - ink[channel]) * (255 - ink[3]);
                target[3 * x + channel] = static_cast<unsigned char>(light / 255);
            }
        }
    }
    return true;
}

/// Reads to the end of the file's picture, where a cut-off progressive picture is noticed.
bool finish(Decoder& decoder) noexcept {
    if (setjmp(decoder.failed) != 0) return false;
    jpeg_finish_decompress(&decoder.info);
    return true;
}

}  // namespace

Image decode_jpeg(ByteView file, int box) {
    Decoder decoder;
    if (!start(decoder, file, box)) throw std::runtime_error(decoder.reason);
    Image image(static_cast<int>(decoder.info.output_width), static_cast<int>(decoder.info.output_height));
    Bytes line(static_cast<std::size_t>(image.width) * 4);
    if (!convert(decoder, line.data(), image.pixels.data()) || !finish(decoder)) {
        throw std::runtime_error(decoder.reason);
    }
    return image;
}

}  // namespace thumbnails
