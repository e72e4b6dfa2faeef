// An error is caught as its own type, as each parent type, as std::exception and as RemoteError.
#include <gtest/gtest.h>

#include <any>
#include <exception>
#include <filesystem>
#include <functional>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <typeinfo>
#include <variant>
#include <vector>

#include <multiproc/errors.hpp>
#include <multiproc/remote_error.hpp>

#include "error_transport.hpp"

using multiproc::Remote;
using multiproc::RemoteError;

namespace errors {

struct Unregistered : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

struct Registered : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct MoreSpecial : Registered {
    using Registered::Registered;
};
struct StillMoreSpecial : MoreSpecial {
    using MoreSpecial::MoreSpecial;
};

class WithFields : public std::exception {
public:
    WithFields() = default;
    WithFields(int line, std::string file) : line_(line), file_(std::move(file)) {}
    const char* what() const noexcept override { return file_.c_str(); }
    int line() const { return line_; }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(line_, file_);
    }

private:
    int line_ = 0;
    std::string file_;
};

class NotToday : public std::range_error {
public:
    NotToday() : std::range_error("not today") {}
    template <class Archive>
    void serialize(Archive&) {
        throw std::string("serialize failed");
    }
};

struct Bare : std::exception {};

struct NullText : std::exception {
    const char* what() const noexcept override { return nullptr; }
};

class OwnCategory final : public std::error_category {
public:
    const char* name() const noexcept override { return "own"; }
    std::string message(int) const override { return "own message"; }
};

inline const bool registered = multiproc::register_error<Registered>();
inline const bool more_special = multiproc::register_error<MoreSpecial>("errors::MoreSpecial");
inline const bool with_fields = multiproc::register_error<WithFields>();
inline const bool not_today = multiproc::register_error<NotToday>();

}  // namespace errors

namespace {

using namespace errors;

std::vector<std::byte> encoded(const std::function<void()>& thrower) {
    multiproc::HeapBuffer out;
    try {
        thrower();
    } catch (...) { multiproc::encode_current_exception(out, 42, "work"); }
    return {out.bytes().begin(), out.bytes().end()};
}

std::exception_ptr decoded(const std::vector<std::byte>& bytes) {
    multiproc::InputBuffer in(bytes);
    return multiproc::decode_exception(in);
}

// Throws here what `thrower` throws there.
void travel(const std::function<void()>& thrower) { std::rethrow_exception(decoded(encoded(thrower))); }

template <class E>
std::function<void()> throwing(E error) {
    return [error] { throw error; };
}

template <class As>
void caught_as(const std::function<void()>& thrower) {
    EXPECT_THROW(travel(thrower), As) << typeid(As).name();
}

template <class E, class... Parents>
void travels_as_itself(const E& error) {
    caught_as<Remote<E>>(throwing(error));
    caught_as<E>(throwing(error));
    (caught_as<Parents>(throwing(error)), ...);
    caught_as<std::exception>(throwing(error));
    caught_as<RemoteError>(throwing(error));
    try {
        travel(throwing(error));
    } catch (const std::exception& arrived) { EXPECT_STREQ(arrived.what(), error.what()); }
}

TEST(ErrorTransport, StandardErrorsArriveAsTheirOwnTypeAndEachParent) {
    travels_as_itself(std::logic_error("text"));
    travels_as_itself<std::domain_error, std::logic_error>(std::domain_error("text"));
    travels_as_itself<std::invalid_argument, std::logic_error>(std::invalid_argument("text"));
    travels_as_itself<std::length_error, std::logic_error>(std::length_error("text"));
    travels_as_itself<std::out_of_range, std::logic_error>(std::out_of_range("text"));
    travels_as_itself(std::runtime_error("text"));
    travels_as_itself<std::range_error, std::runtime_error>(std::range_error("text"));
    travels_as_itself<std::overflow_error, std::runtime_error>(std::overflow_error("text"));
    travels_as_itself<std::underflow_error, std::runtime_error>(std::underflow_error("text"));
    travels_as_itself(std::bad_alloc());
    travels_as_itself<std::bad_array_new_length, std::bad_alloc>(std::bad_array_new_length());
    travels_as_itself(std::bad_cast());
    travels_as_itself<std::bad_any_cast, std::bad_cast>(std::bad_any_cast());
    travels_as_itself(std::bad_typeid());
    travels_as_itself(std::bad_exception());
    travels_as_itself(std::bad_weak_ptr());
    travels_as_itself(std::bad_function_call());
    travels_as_itself(std::bad_optional_access());
    travels_as_itself(std::bad_variant_access());
}

TEST(ErrorTransport, TheLibrarysErrorsArriveAsTheirOwnTypeAndEachParent) {
    travels_as_itself<multiproc::Error, std::runtime_error>(multiproc::Error("text"));
    travels_as_itself<multiproc::BootstrapError, multiproc::Error>(multiproc::BootstrapError("text"));
    travels_as_itself<multiproc::StartError, multiproc::Error>(multiproc::StartError("text"));
    travels_as_itself<multiproc::CodecError, multiproc::Error>(multiproc::CodecError("text"));
    travels_as_itself<multiproc::TimeoutError, multiproc::Error>(multiproc::TimeoutError("text"));
    travels_as_itself<multiproc::CancelledError, multiproc::Error>(multiproc::CancelledError("text"));
    travels_as_itself<multiproc::ClosedError, multiproc::Error>(multiproc::ClosedError("text"));
    travels_as_itself<multiproc::BrokenPool, multiproc::Error>(multiproc::BrokenPool("text"));
    travels_as_itself<multiproc::Interrupted, multiproc::Error>(multiproc::Interrupted("text"));
}

TEST(ErrorTransport, WorkerDiedKeepsWhatItSays) {
    const multiproc::WorkerDied died(multiproc::ExitStatus::signalled(9), 77, "inner");
    travels_as_itself<multiproc::WorkerDied, multiproc::Error>(died);
    try {
        travel(throwing(died));
    } catch (const multiproc::WorkerDied& arrived) {
        EXPECT_EQ(arrived.status(), multiproc::ExitStatus::signalled(9));
        EXPECT_EQ(arrived.pid(), 77U);
        EXPECT_EQ(arrived.task(), "inner");
    }
    try {
        travel(throwing(multiproc::WorkerDied(multiproc::ExitStatus::exited(3), 1, "")));
    } catch (const multiproc::WorkerDied& arrived) { EXPECT_EQ(arrived.status(), multiproc::ExitStatus::exited(3)); }
}

TEST(ErrorTransport, WhereItWasThrownIsKnown) {
    try {
        travel(throwing(std::out_of_range("text")));
        FAIL();
    } catch (const RemoteError& error) {
        EXPECT_EQ(error.type_name(), "std::out_of_range");
        EXPECT_EQ(error.text(), "text");
        EXPECT_EQ(error.pid(), 42U);
        EXPECT_EQ(error.task(), "work");
    }
}

TEST(ErrorTransport, SystemErrorKeepsCodeAndCategory) {
    for (const std::error_category* category :
         {&std::generic_category(), &std::system_category(), &std::iostream_category()}) {
        const std::system_error error(std::error_code(2, *category), "opening");
        travels_as_itself<std::system_error, std::runtime_error>(error);
        try {
            travel(throwing(error));
        } catch (const std::system_error& arrived) { EXPECT_EQ(arrived.code(), error.code()); }
    }
    const std::ios_base::failure failure("reading", std::io_errc::stream);
    travels_as_itself<std::ios_base::failure, std::system_error>(failure);
    try {
        travel(throwing(failure));
    } catch (const std::system_error& arrived) { EXPECT_EQ(arrived.code(), std::io_errc::stream); }
}

TEST(ErrorTransport, SystemErrorOfAnUnknownCategoryKeepsValueAndText) {
    static const OwnCategory own;
    const std::system_error error(std::error_code(5, own), "doing");
    try {
        travel(throwing(error));
        FAIL();
    } catch (const std::system_error& arrived) {
        EXPECT_STREQ(arrived.what(), error.what());
        EXPECT_EQ(arrived.code().value(), 5);
        EXPECT_NE(arrived.code().category(), std::generic_category());
    }
}

TEST(ErrorTransport, FilesystemErrorKeepsItsPaths) {
    const std::filesystem::filesystem_error error("copying", "from/here", "to/there",
                                                  std::make_error_code(std::errc::file_exists));
    travels_as_itself<std::filesystem::filesystem_error, std::system_error>(error);
    try {
        travel(throwing(error));
    } catch (const std::filesystem::filesystem_error& arrived) {
        EXPECT_EQ(arrived.path1(), "from/here");
        EXPECT_EQ(arrived.path2(), "to/there");
        EXPECT_EQ(arrived.code(), std::errc::file_exists);
    }
}

TEST(ErrorTransport, AnUnregisteredTypeArrivesAsItsNearestKnownParent) {
    caught_as<Remote<std::invalid_argument>>(throwing(Unregistered("text")));
    caught_as<Remote<MoreSpecial>>(throwing(StillMoreSpecial("text")));
    caught_as<Remote<std::runtime_error>>(throwing(Bare()));
    try {
        travel(throwing(Unregistered("text")));
    } catch (const std::invalid_argument& error) {
        EXPECT_STREQ(error.what(), "text");
        EXPECT_EQ(dynamic_cast<const RemoteError&>(error).type_name(), "errors::Unregistered");
    }
}

TEST(ErrorTransport, RegisteredTypesArriveAsThemselves) {
    travels_as_itself<Registered, std::runtime_error>(Registered("text"));
    travels_as_itself<MoreSpecial, Registered>(MoreSpecial("text"));
    travels_as_itself(WithFields(12, "main.cpp"));
    try {
        travel(throwing(WithFields(12, "main.cpp")));
    } catch (const WithFields& error) { EXPECT_EQ(error.line(), 12); }
}

TEST(ErrorTransport, RegisteringTwiceIsFineAndANameIsOneTypes) {
    EXPECT_TRUE(multiproc::register_error<Registered>());
    EXPECT_THROW(multiproc::register_error<Unregistered>("errors::MoreSpecial"), std::invalid_argument);
}

TEST(ErrorTransport, RegistrationAndUseFromManyThreads) {
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i) {
        threads.emplace_back([i] {
            for (int round = 0; round != 50; ++round) {
                multiproc::register_error<WithFields>("fields " + std::to_string(i) + ' ' + std::to_string(round));
                EXPECT_THROW(travel(throwing(WithFields(1, "x"))), WithFields);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}

TEST(ErrorTransport, AnErrorThatCannotBeEncodedStillArrives) {
    caught_as<Remote<std::range_error>>([] { throw NotToday(); });
    try {
        travel([] { throw NotToday(); });
    } catch (const std::range_error& error) { EXPECT_STREQ(error.what(), "not today"); }
}

TEST(ErrorTransport, ATypeThatOnlyTheSenderKnowsArrivesAsItsParent) {
    // As if the receiver had not registered it: its name is another there.
    std::vector<std::byte> bytes = encoded(throwing(MoreSpecial("text")));
    const std::string name = "errors::MoreSpecial";
    bool changed = false;
    for (std::size_t i = 0; i + name.size() <= bytes.size(); ++i) {
        if (std::memcmp(bytes.data() + i, name.data(), name.size()) == 0) {
            bytes[i] = std::byte{'X'};
            changed = true;
        }
    }
    ASSERT_TRUE(changed);
    EXPECT_THROW(std::rethrow_exception(decoded(bytes)), Remote<std::runtime_error>);
}

TEST(ErrorTransport, WhatIsNoExceptionArrivesAsRuntimeErrorWithItsTypesName) {
    caught_as<Remote<std::runtime_error>>([] { throw 42; });
    const auto text = [](const std::function<void()>& thrower) -> std::string {
        try {
            travel(thrower);
        } catch (const std::runtime_error& error) {
            return dynamic_cast<const RemoteError&>(error).type_name() + "|" + error.what();
        }
        return "nothing";
    };
    EXPECT_EQ(text([] { throw 42; }), "int|a value of type int was thrown: 42");
    EXPECT_EQ(text([] { throw "a literal"; }), "const char*|a literal");
    EXPECT_EQ(text([] { throw std::string("a string"); }), "std::string|a string");
    EXPECT_NE(text([] { throw std::vector<int>(); }).find("was thrown"), std::string::npos);
    EXPECT_NE(text([] { throw NullText(); }), "nothing");
}

TEST(ErrorTransport, AnErrorThatTravelsAgainKeepsItsOriginAndType) {
    std::vector<std::byte> bytes;
    try {
        travel(throwing(Unregistered("text")));
    } catch (...) {
        multiproc::HeapBuffer out;
        multiproc::encode_current_exception(out, 99, "outer work");
        bytes.assign(out.bytes().begin(), out.bytes().end());
    }
    try {
        std::rethrow_exception(decoded(bytes));
        FAIL();
    } catch (const Remote<std::invalid_argument>& error) {
        EXPECT_STREQ(error.what(), "text");
        EXPECT_EQ(error.type_name(), "errors::Unregistered");
        EXPECT_EQ(error.pid(), 42U);
        EXPECT_EQ(error.task(), "work");
    }
}

TEST(ErrorTransport, TextsOfNestedErrorsAreNotLost) {
    const auto nested = [] {
        try {
            try {
                throw Unregistered("disk full");
            } catch (...) { std::throw_with_nested(std::runtime_error("cannot write")); }
        } catch (...) { std::throw_with_nested(std::out_of_range("cannot save")); }
    };
    try {
        travel(nested);
        FAIL();
    } catch (const std::out_of_range& error) {
        const std::string text = error.what();
        EXPECT_EQ(text.find("cannot save"), 0U) << text;
        EXPECT_NE(text.find("\ncaused by: std::runtime_error: cannot write"), std::string::npos) << text;
        EXPECT_NE(text.find("\ncaused by: errors::Unregistered: disk full"), std::string::npos) << text;
        EXPECT_EQ(dynamic_cast<const RemoteError&>(error).type_name(), "std::out_of_range");
    }
}

TEST(ErrorTransport, HostileBytesGiveAnErrorToo) {
    EXPECT_THROW(std::rethrow_exception(decoded({})), multiproc::CodecError);
    const std::vector<std::byte> whole = encoded(
        throwing(std::filesystem::filesystem_error("copying", "a", "b", std::make_error_code(std::errc::file_exists))));
    for (std::size_t size = 0; size != whole.size(); ++size) {
        const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_THROW(std::rethrow_exception(decoded(cut)), multiproc::CodecError) << "cut at " << size;
    }
    std::mt19937 random(3);
    for (int round = 0; round != 3000; ++round) {
        std::vector<std::byte> damaged = whole;
        for (unsigned i = 0; i <= random() % 3; ++i) {
            damaged[random() % damaged.size()] = static_cast<std::byte>(random() % 2 == 0 ? random() : 0xFF);
        }
        EXPECT_THROW(std::rethrow_exception(decoded(damaged)), std::exception);
    }
}

}  // namespace
