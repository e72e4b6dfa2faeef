// Classes that were written for cereal travel as they are, whatever form their functions have.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cereal/access.hpp>
#include <cereal/cereal.hpp>
#include <cereal/types/base_class.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include "support/codec_samples.hpp"

using namespace codec_samples;

namespace cereal_types {

struct Member {
    int a = 0;
    std::vector<std::string> b;
    int cache = -1;
    bool operator==(const Member&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(a, CEREAL_NVP(b));
    }
};

class Private {
public:
    Private() = default;
    explicit Private(int value) : value_(value) {}
    bool operator==(const Private&) const = default;

private:
    friend class cereal::access;
    template <class Archive>
    void serialize(Archive& archive) {
        archive& value_;
    }
    int value_ = 0;
};

class Split {
public:
    std::string text;
    bool loaded = false;
    template <class Archive>
    void save(Archive& archive) const {
        static_assert(Archive::is_saving::value);
        archive << text;
    }
    template <class Archive>
    void load(Archive& archive) {
        static_assert(Archive::is_loading::value);
        archive >> text;
        loaded = true;
    }
};

struct Versioned {
    int value = 0;
    std::uint32_t seen = 0;
    template <class Archive>
    void serialize(Archive& archive, std::uint32_t version) {
        archive(value);
        seen = version;
    }
};

struct SplitVersioned {
    int value = 0;
    std::uint32_t seen = 0;
    template <class Archive>
    void save(Archive& archive, std::uint32_t version) const {
        archive(value, version);
    }
    template <class Archive>
    void load(Archive& archive, std::uint32_t version) {
        archive(value, seen);
        if (seen != version) throw std::logic_error("another version");
    }
};

struct Minimal {
    int value = 0;
    template <class Archive>
    std::string save_minimal(const Archive&) const {
        return std::to_string(value);
    }
    template <class Archive>
    void load_minimal(const Archive&, const std::string& text) {
        value = std::stoi(text);
    }
};

// A class of somebody else's, with free functions.
class Foreign {
public:
    Foreign() = default;
    explicit Foreign(int value) : value_(value) {}
    int value() const { return value_; }
    void set(int value) { value_ = value; }

private:
    int value_ = 0;
};
template <class Archive>
void save(Archive& archive, const Foreign& foreign) {
    archive(foreign.value());
}
template <class Archive>
void load(Archive& archive, Foreign& foreign) {
    int value = 0;
    archive(value);
    foreign.set(value);
}

struct Matrix {
    std::size_t rows = 0;
    std::vector<double> cells;
};
template <class Archive>
void serialize(Archive& archive, Matrix& matrix) {
    archive(matrix.rows);
    cereal::size_type count = matrix.cells.size();
    archive(cereal::make_size_tag(count));
    matrix.cells.resize(static_cast<std::size_t>(count));
    archive(cereal::binary_data(matrix.cells.data(), matrix.cells.size() * sizeof(double)));
}

struct Derived : Member {
    std::string extra;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::base_class<Member>(this), cereal::defer(extra));
    }
};

// Inherits a function that would not know `extra`.
struct Forgetful : Member {
    int extra = 0;
};

// The same with a free function for the base.
struct ForeignChild : Foreign {
    int extra = 0;
};

template <class Child>
struct Described {
    template <class Archive>
    void serialize(Archive& archive) {
        static_cast<Child*>(this)->describe(archive);
    }
};
class Helped : public Described<Helped> {
public:
    int value = 0;
    template <class Archive>
    void describe(Archive& archive) {
        archive(value);
    }
};

struct SaveOnly {
    int value = 0;
    template <class Archive>
    void save(Archive& archive) const {
        archive(value);
    }
};

struct Holder {
    std::map<std::string, Member> members;
    std::shared_ptr<Private> first, second;
    Split split;
};

struct Immovable {
    Immovable() = default;
    Immovable(Immovable&&) = delete;
    int value = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value);
    }
};

struct Failing {
    int value = 0;
    template <class Archive>
    void serialize(Archive&) {
        throw std::domain_error("cannot be serialized today");
    }
};

}  // namespace cereal_types

CEREAL_CLASS_VERSION(cereal_types::Versioned, 3)
CEREAL_CLASS_VERSION(cereal_types::SplitVersioned, 4)

namespace {

using namespace cereal_types;

TEST(CodecCereal, MemberSerializeTravelsAndDecidesWhatTravels) {
    const Member arrived = sent(Member{1, {"a", "b"}, 99});
    EXPECT_EQ(arrived, (Member{1, {"a", "b"}, -1}));
}

TEST(CodecCereal, PrivateSerializeTravels) { EXPECT_EQ(sent(Private(7)), Private(7)); }

TEST(CodecCereal, SaveAndLoadTravel) {
    const Split arrived = sent(Split{"text", false});
    EXPECT_EQ(arrived.text, "text");
    EXPECT_TRUE(arrived.loaded);
}

TEST(CodecCereal, VersionsAreHandedOver) {
    const Versioned versioned = sent(Versioned{5, 0});
    EXPECT_EQ(versioned.value, 5);
    EXPECT_EQ(versioned.seen, 3U);
    const SplitVersioned split = sent(SplitVersioned{5, 0});
    EXPECT_EQ(split.value, 5);
    EXPECT_EQ(split.seen, 4U);
}

TEST(CodecCereal, MinimalFormsTravel) { EXPECT_EQ(sent(Minimal{-42}).value, -42); }

TEST(CodecCereal, FreeFunctionsTravel) {
    EXPECT_EQ(sent(Foreign(8)).value(), 8);
    const Matrix matrix = sent(Matrix{2, {1, 2, 3, 4}});
    EXPECT_EQ(matrix.rows, 2U);
    EXPECT_EQ(matrix.cells, (std::vector<double>{1, 2, 3, 4}));
}

TEST(CodecCereal, BaseClassesAreKept) {
    Derived derived;
    derived.a = 1;
    derived.b = {"b"};
    derived.extra = "extra";
    const Derived arrived = sent(derived);
    EXPECT_EQ(arrived.a, 1);
    EXPECT_EQ(arrived.b, derived.b);
    EXPECT_EQ(arrived.extra, "extra");

    Helped helped;
    helped.value = 4;
    EXPECT_EQ(sent(helped).value, 4);
}

TEST(CodecCereal, FunctionsThatWouldLoseMembersAreNotTaken) {
    static_assert(multiproc::is_encodable_v<Member>);
    static_assert(!multiproc::is_encodable_v<Forgetful>);
    static_assert(multiproc::is_encodable_v<Foreign>);
    static_assert(!multiproc::is_encodable_v<ForeignChild>);
    static_assert(!multiproc::is_encodable_v<SaveOnly>);
}

TEST(CodecCereal, ClassesInsideOtherValuesTravelAndKeepSharing) {
    const auto shared = std::make_shared<Private>(3);
    Holder holder{{{"x", {1, {}, 0}}}, shared, shared, {"s", false}};
    const Holder arrived = from_bytes<Holder>(bytes_of(holder));
    EXPECT_EQ(arrived.members.at("x").a, 1);
    EXPECT_EQ(*arrived.first, Private(3));
    EXPECT_EQ(arrived.first, arrived.second);
    EXPECT_TRUE(arrived.split.loaded);
}

TEST(CodecCereal, ImmovableObjectsTravelBehindPointers) {
    const auto object = std::make_unique<Immovable>();
    object->value = 6;
    const auto arrived = from_bytes<std::unique_ptr<Immovable>>(bytes_of(object));
    EXPECT_EQ(arrived->value, 6);
}

TEST(CodecCereal, WhatAFunctionThrowsIsThrown) {
    multiproc::HeapBuffer out;
    EXPECT_THROW(multiproc::encode(out, Failing{}), std::domain_error);
}

TEST(CodecCereal, LengthsInsideFunctionsAreChecked) {
    std::vector<std::byte> bytes = bytes_of(Matrix{2, {1, 2, 3, 4}});
    // The mark, the rows, then the size tag.
    bytes[1 + sizeof(std::size_t) + 6] = std::byte{0x7F};
    EXPECT_THROW(from_bytes<Matrix>(bytes), multiproc::CodecError);
}

}  // namespace
