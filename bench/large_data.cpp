// Large values: how near to the speed of copying memory they travel.

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
}

}  // namespace bench
