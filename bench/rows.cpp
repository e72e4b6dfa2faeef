#include "rows.hpp"

namespace bench {

std::vector<Row> make_rows(const Settings& settings) {
    std::vector<Row> rows;
    add_round_trip_rows(rows, settings);
    add_throughput_rows(rows, settings);
    add_large_data_rows(rows, settings);
    add_start_rows(rows, settings);
    add_crash_rows(rows, settings);
    add_communication_rows(rows, settings);
    add_manager_rows(rows, settings);
    add_thumbnail_rows(rows, settings);
    return rows;
}

}  // namespace bench
