#include "contact_sheet.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace thumbnails {
namespace {

using Colour = std::array<unsigned char, 3>;
constexpr Colour background{22, 24, 28};
constexpr Colour frame{64, 68, 76};
constexpr int gap = 14;

void fill(Image& sheet, int x, int y, int width, int height, Colour colour) {
    for (int row = y; row < y + height; ++row) {
        for (int column = x; column < x + width; ++column) {
            std::copy(colour.begin(), colour.end(), sheet.at(column, row));
        }
    }
}

void paste(Image& sheet, int x, int y, const Image& picture) {
    fill(sheet, x - 1, y - 1, picture.width + 2, picture.height + 2, frame);
    for (int row = 0; row < picture.height; ++row) {
        std::copy_n(picture.at(0, row), picture.width * 3, sheet.at(x, y + row));
    }
}

/// As many columns as make the sheet about half as wide again as high; of the counts near that, the one that leaves
/// the fewest places empty.
int choose_columns(int count, Size cell) {
    const double ideal = std::sqrt(1.5 * count * cell.height / cell.width);
    const int middle = std::clamp(static_cast<int>(std::lround(ideal)), 1, count);
    int best = middle;
    int fewest_empty = count;
    for (const int columns : {middle, middle + 1, middle - 1, middle + 2}) {
        if (columns < 1 || columns > count) continue;
        const int empty = (columns - count % columns) % columns;
        if (empty < fewest_empty) {
            fewest_empty = empty;
            best = columns;
        }
    }
    return best;
}

}  // namespace

Image make_contact_sheet(const std::vector<Image>& thumbnails) {
    Size cell;
    for (const Image& thumbnail : thumbnails) {
        cell.width = std::max(cell.width, thumbnail.width + gap);
        cell.height = std::max(cell.height, thumbnail.height + gap);
    }
    const auto count = static_cast<int>(thumbnails.size());
    const int columns = choose_columns(count, cell);
    std::vector<int> row_heights(static_cast<std::size_t>((count + columns - 1) / columns));
    for (int i = 0; i < count; ++i) {
        int& height = row_heights[static_cast<std::size_t>(i / columns)];
        height = std::max(height, thumbnails[static_cast<std::size_t>(i)].height + gap);
    }
    Image sheet(columns * cell.width + gap, std::accumulate(row_heights.begin(), row_heights.end(), gap));
    fill(sheet, 0, 0, sheet.width, sheet.height, background);
    int row_top = gap;
    for (int i = 0; i < count; ++i) {
        const Image& thumbnail = thumbnails[static_cast<std::size_t>(i)];
        const int row_height = row_heights[static_cast<std::size_t>(i / columns)];
        const int x = gap + i % columns * cell.width + (cell.width - gap - thumbnail.width) / 2;
        const int y = row_top + (row_height - gap - thumbnail.height) / 2;
        paste(sheet, x, y, thumbnail);
        if (i % columns == columns - 1) row_top += row_height;
    }
    return sheet;
}

}  // namespace thumbnails
