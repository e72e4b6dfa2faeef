// Large values: how near to the speed of copying memory they travel.

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>

#include <multiproc/multiproc.hpp>

#include "rows.hpp"
#include "support.hpp"

namespace bench {
namespace {

using Doubles = std::vector<double>;

constexpr std::size_t vector_bytes = std::size_t{64} << 20;

Doubles bounce(Doubles values) { return values; }

// As for round_trip/awake: neither the clock nor a wake-up now and then counts.
constexpr std::size_t batches = 200;
constexpr std::size_t trips = 100;
constexpr std::size_t first_passes = 5;
constexpr std::size_t array_bytes = std::size_t{1} << 30;

using Array = multiproc::SharedArray<std::byte>;
Array return_array(Array array) { return array; }
int add_one(int number) { return number + 1; }

/// Handles only: what the elements are does not matter, but all of them have been touched.
class SharedArrays : public Pair {
public:
    explicit SharedArrays(std::size_t workers, bool is_first_pass)
        : pool_(workers), array_(array_bytes), is_first_pass_(is_first_pass) {
        std::fill(array_.begin(), array_.end(), std::byte{1});
    }

    double ours() override {
        if (!is_first_pass_) return time_per_trip([this] { bounce_array(array_); });
        return median_of(first_passes, [this] {
            const Array fresh(array_bytes);
            const Stopwatch watch;
            bounce_array(fresh);
            return watch.seconds();
        });
    }
    double peer() override {
        return time_per_trip([this] {
            if (pool_.apply(add_one, 1) != 2) throw std::runtime_error("wrong result");
        });
    }

private:
    void bounce_array(const Array& array) {
        if (pool_.apply(return_array, array).data() != array.data()) throw std::runtime_error("wrong array");
    }
    template <class Trip>
    static double time_per_trip(Trip trip) {
        for (std::size_t i = 0; i < trips; ++i) trip();
        return median_of(batches, [&] {
            const Stopwatch watch;
            for (std::size_t i = 0; i < trips; ++i) trip();
            return watch.seconds() / trips;
        });
    }

    multiproc::Pool pool_;
    Array array_;
    bool is_first_pass_;
};

class Vector : public Pair {
public:
    explicit Vector(std::size_t workers) : pool_(workers), values_(vector_bytes / sizeof(double)) {
        std::iota(values_.begin(), values_.end(), 0.0);
    }

    double ours() override {
        const Stopwatch watch;
        const Doubles back = pool_.apply(bounce, values_);
        const double seconds = watch.seconds();
        check(back);
        return seconds;
    }

    /// Into a segment, out of it, into another, out of that. A vector made from a vector is allocated and copied to
    /// without being zeroed first; what it was made from goes at once.
    double peer() override {
        const Stopwatch watch;
        Doubles copy = values_;
        for (int i = 0; i < 3; ++i) copy = Doubles(std::as_const(copy));
        const double seconds = watch.seconds();
        check(copy);
        return seconds;
    }

private:
    void check(const Doubles& back) const {
        if (back.size() != values_.size() || back.back() != values_.back()) throw std::runtime_error("wrong results");
    }

    multiproc::Pool pool_;
    Doubles values_;
};

}  // namespace

void add_large_data_rows(std::vector<Row>& rows, const Settings& settings) {
    rows.push_back({.name = "large/vector",
                    .what = "64 MiB there and back as std::vector<double>",
                    .peer = "the same four copies into freshly allocated vectors",
                    .show = Row::Show::rate,
                    .bound = Row::Bound::at_least,
                    .target = 0.7,
                    .open = [=] { return std::make_unique<Vector>(settings.workers); }});
    rows.push_back({.name = "large/shared_array",
                    .what = "1 GiB SharedArray there and back, after its first pass",
                    .peer = "a task with one integer",
                    .target = 1.5,
                    .operations = batches * trips,
                    .open = [=] { return std::make_unique<SharedArrays>(settings.workers, false); }});
    rows.push_back({.name = "large/shared_array_first",
                    .what = "its first pass: the handle is sent and mapped",
                    .peer = "a task with one integer",
                    .bound = Row::Bound::none,
                    .operations = first_passes,
                    .open = [=] { return std::make_unique<SharedArrays>(settings.workers, true); }});
}

}  // namespace bench
