// Stands in for thumbnails.cpp where stb is not there.

#include "rows.hpp"

namespace bench {

void add_thumbnail_rows(std::vector<Row>&, const Settings&) {}

}  // namespace bench
