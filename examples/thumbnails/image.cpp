#include "image.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "jpeg.hpp"
#include "stb.hpp"

namespace thumbnails {
namespace {

/// Stored values are not proportional to light (sRGB): averaging them as they are would darken fine detail.
struct LightTables {
    static constexpr std::size_t steps = 4096;
    std::array<float, 256> to_light{};
    std::array<unsigned char, steps> from_light{};

    LightTables() {
        for (std::size_t i = 0; i < to_light.size(); ++i) {
            const double value = static_cast<double>(i) / 255;
            to_light[i] = static_cast<float>(value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4));
        }
        for (std::size_t i = 0; i < steps; ++i) {
            const double light = static_cast<double>(i) / (steps - 1);
            const double value = light <= 0.0031308 ? light * 12.92 : 1.055 * std::pow(light, 1 / 2.4) - 0.055;
            from_light[i] = static_cast<unsigned char>(std::lround(value * 255));
        }
    }
};

const LightTables& light_tables() {
    static const LightTables tables;
    return tables;
}

/// The source pixels that one target pixel covers along one axis, and how much each counts; the sum is 1.
struct Coverage {
    int first = 0;
    std::vector<float> weights;
};

std::vector<Coverage> cover(int source, int target) {
    std::vector<Coverage> all(static_cast<std::size_t>(target));
    const double ratio = static_cast<double>(source) / target;
    for (int i = 0; i < target; ++i) {
        const double begin = i * ratio;
        const double end = (i + 1) * ratio;
        Coverage& one = all[static_cast<std::size_t>(i)];
        one.first = static_cast<int>(begin);
        for (int k = one.first; k < std::min(static_cast<int>(std::ceil(end)), source); ++k) {
            const double part = std::min<double>(end, k + 1) - std::max<double>(begin, k);
            one.weights.push_back(static_cast<float>(part / ratio));
        }
    }
    return all;
}

/// One source row, shrunk to the target's width, as light.
void shrink_row(const unsigned char* source, const std::vector<Coverage>& columns, std::vector<float>& row) {
    const auto& to_light = light_tables().to_light;
    float* target = row.data();
    for (const Coverage& column : columns) {
        const unsigned char* pixel = source + static_cast<std::ptrdiff_t>(column.first) * 3;
        float red = 0;
        float green = 0;
        float blue = 0;
        for (const float weight : column.weights) {
            red += weight * to_light[pixel[0]];
            green += weight * to_light[pixel[1]];
            blue += weight * to_light[pixel[2]];
            pixel += 3;
        }
        *target++ = red;
        *target++ = green;
        *target++ = blue;
    }
}

}  // namespace

Size fit(int width, int height, int box) {
    const double scale = std::min(1.0, static_cast<double>(box) / std::max(width, height));
    return {std::max(1, static_cast<int>(std::lround(width * scale))),
            std::max(1, static_cast<int>(std::lround(height * scale)))};
}

Image decode(ByteView file, int box) {
    if (file.empty()) throw std::runtime_error("the file is empty");
    return is_jpeg(file) ? decode_jpeg(file, box) : decode_with_stb(file);
}

Image shrink(const Image& source, Size size) {
    Image target(size.width, size.height);
    const std::vector<Coverage> columns = cover(source.width, size.width);
    const std::vector<Coverage> rows = cover(source.height, size.height);
    std::vector<float> row(static_cast<std::size_t>(size.width) * 3);
    std::vector<float> sum(row.size());
    int row_in_hand = -1;  // neighbouring target rows share the source row at their border
    for (int y = 0; y < size.height; ++y) {
        const Coverage& covered = rows[static_cast<std::size_t>(y)];
        std::fill(sum.begin(), sum.end(), 0.0F);
        for (std::size_t k = 0; k < covered.weights.size(); ++k) {
            const int source_row = covered.first + static_cast<int>(k);
            if (source_row != row_in_hand) shrink_row(source.at(0, source_row), columns, row);
            row_in_hand = source_row;
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += covered.weights[k] * row[i];
        }
        unsigned char* out = target.at(0, y);
        for (const float light : sum) {
            const auto step = static_cast<std::size_t>(light * (LightTables::steps - 1) + 0.5F);
            *out++ = light_tables().from_light[std::min(step, LightTables::steps - 1)];
        }
    }
    return target;
}

Image orient(const Image& source, int orientation) {
    if (orientation <= 1 || orientation > 8) return source;
    const bool is_transposed = orientation >= 5;
    const bool flips_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool flips_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Image target(is_transposed ? source.height : source.width, is_transposed ? source.width : source.height);
    for (int y = 0; y < target.height; ++y) {
        for (int x = 0; x < target.width; ++x) {
            const int from_x = is_transposed ? y : x;
            const int from_y = is_transposed ? x : y;
            const unsigned char* pixel =
                source.at(flips_x ? source.width - 1 - from_x : from_x, flips_y ? source.height - 1 - from_y : from_y);
            std::copy(pixel, pixel + 3, target.at(x, y));
        }
    }
    return target;
}

}  // namespace thumbnails
