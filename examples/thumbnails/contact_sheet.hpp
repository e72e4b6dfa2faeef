// One picture that shows many thumbnails.
#pragma once

#include <vector>

#include "image.hpp"

namespace thumbnails {

/// Lays the thumbnails in rows on a dark background, in their order.
Image make_contact_sheet(const std::vector<Image>& thumbnails);

}  // namespace thumbnails
