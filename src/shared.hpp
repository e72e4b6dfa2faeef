// What a message can refer to besides its bytes, and keeps until the receiver has it: a block of shared memory, which
// goes with its handle (shared_block.hpp), or an object in the arena, for which its name is enough (shared_object.hpp).
#pragma once

#include <cstdint>

namespace multiproc::detail {

// Base of what a std::shared_ptr owns, which knows how to destroy it.
class Shared {
public:
    enum class Kind : std::uint8_t { block, object };

    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    Kind kind() const noexcept { return kind_; }

protected:
    explicit Shared(Kind kind) noexcept : kind_(kind) {}
    ~Shared() = default;

private:
    Kind kind_;
};

}  // namespace multiproc::detail
