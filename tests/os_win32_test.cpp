// What only Windows promises, or could break.
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <io.h>

#include "support/os_child.hpp"
#include "win32/api.hpp"
#include "win32/bootstrap.hpp"
#include "win32/environment.hpp"

#include <tlhelp32.h>  // needs what windows.h declares

namespace multiproc::os::test {
namespace {

constexpr std::uint32_t access_violation = 0xC0000005;
constexpr std::uint32_t control_c_exit = 0xC000013A;

std::error_condition error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const std::system_error& error) { return error.code().default_error_condition(); }
    return {};
}

// ---- starting and ending --------------------------------------------------------------------------------------------

OS_CHILD(win32_waits) {
    args.stage.words[0] = 1;
    wait_for_the_end();
}

TEST(OsWin32, ForkAndForkserverAreRefusedByName) {
    for (const StartMethod method : {StartMethod::fork, StartMethod::forkserver}) {
        try {
            TestChild child(method, "win32_waits");
            ADD_FAILURE() << "it was started";
        } catch (const std::invalid_argument& error) {
            EXPECT_NE(std::string(error.what()).find('"' + name_of(method) + '"'), std::string::npos) << error.what();
            EXPECT_NE(std::string(error.what()).find("\"spawn\""), std::string::npos) << error.what();
        }
    }
}

TEST(OsWin32, MoreChildrenThanOneWaitCanHold) {
    std::vector<std::unique_ptr<TestChild>> children;
    for (int i = 0; i < 80; ++i) children.push_back(std::make_unique<TestChild>(StartMethod::spawn, "win32_waits"));
    for (const auto& child : children) ASSERT_TRUE(await_word(child->stage().words[0], 1));
    for (const auto& child : children) EXPECT_EQ(child->exits(), 0);
    // From the last to the first, so that the ends are not noticed in the order of the starts by chance.
    for (auto child = children.rbegin(); child != children.rend(); ++child) (*child)->process().signal(Signal::kill);
    for (const auto& child : children) {
        EXPECT_EQ(child->wait(), ExitStatus::signalled(9));
        EXPECT_EQ(child->exits(), 1);
    }
}

OS_CHILD(crashes) {
    const std::string how = text_of(args.stage);
    if (how == "reads null") {
        const volatile int* volatile nowhere = nullptr;
        return static_cast<std::uint32_t>(*nowhere);
    }
    if (how == "aborts") std::abort();
    if (how == "exits with -1") std::exit(-1);
    RaiseException(static_cast<DWORD>(std::stoul(how, nullptr, 16)), EXCEPTION_NONCONTINUABLE, 0, nullptr);
    return 0;
}

TEST(OsWin32, AnUnhandledExceptionIsASignalByItsName) {
    const auto status_of = [](const char* how) {
        TestChild child(StartMethod::spawn, "crashes", {.text = how});
        return child.wait();
    };
    EXPECT_EQ(status_of("reads null"), ExitStatus::signalled(access_violation));
    EXPECT_EQ(signal_name(access_violation), "ACCESS_VIOLATION");
    EXPECT_EQ(status_of("C0000094"), ExitStatus::signalled(0xC0000094));
    EXPECT_EQ(to_string(ExitStatus::signalled(0xC0000094)), "killed by INTEGER_DIVIDE_BY_ZERO");
    EXPECT_EQ(status_of("C0DE1234"), ExitStatus::signalled(0xC0DE1234));
    EXPECT_EQ(signal_name(0xC0DE1234), "0xC0DE1234");
    EXPECT_EQ(status_of("exits with -1"), ExitStatus::exited(0xFFFFFFFF));
    EXPECT_EQ(status_of("aborts"), ExitStatus::exited(3));
}

TEST(OsWin32, InterruptEndsAsControlCDoes) {
    TestChild child(StartMethod::spawn, "win32_waits");
    child.process().signal(Signal::interrupt);  // it has not settled yet: the request waits for it
    EXPECT_EQ(child.wait(), ExitStatus::signalled(control_c_exit));
    EXPECT_EQ(signal_name(control_c_exit), "CONTROL_C_EXIT");
}

OS_CHILD(ignores_interrupts) {
    std::signal(SIGINT, SIG_IGN);
    args.stage.words[0] = 1;
    return await_word(args.stage.words[1], 1) ? 5 : 1;
}

TEST(OsWin32, AnIgnoredInterruptDoesNothing) {
    TestChild child(StartMethod::spawn, "ignores_interrupts");
    ASSERT_TRUE(await_word(child.stage().words[0], 1));
    child.process().signal(Signal::interrupt);
    child.stage().words[1] = 1;
    EXPECT_EQ(child.wait(), ExitStatus::exited(5));
}

// Starts this program suspended, so that it never executes anything and only a job can end it.
std::uint32_t start_suspended() {
    const std::wstring path = widen(executable_path());
    std::wstring command_line = L"\"" + path + L"\"";
    STARTUPINFOW startup{};
    startup.cb = sizeof startup;
    PROCESS_INFORMATION process{};
    if (CreateProcessW(path.c_str(), command_line.data(), nullptr, nullptr, FALSE, CREATE_SUSPENDED, nullptr, nullptr,
                       &startup, &process) == 0) {
        throw_last_error("cannot start a suspended process");
    }
    own(process.hThread).reset();
    own(process.hProcess).reset();
    return process.dwProcessId;
}

OS_CHILD(starts_a_foreign_program) {
    args.stage.words[0] = start_suspended();
    args.stage.words[1] = 1;
    wait_for_the_end();
}

OS_CHILD(has_a_child_with_a_foreign_program) {
    TestChild child(StartMethod::spawn, "starts_a_foreign_program");
    if (!await_word(child.stage().words[1], 1)) return 1;
    args.stage.words[0] = child.process().pid();
    args.stage.words[2] = child.word(0);
    args.stage.words[1] = 1;
    wait_for_the_end();
}

TEST(OsWin32, WhatAChildStartedDiesWithTheFamilyToo) {
    TestChild child(StartMethod::spawn, "has_a_child_with_a_foreign_program");
    ASSERT_TRUE(await_word(child.stage().words[1], 1));
    ProcessWatch grandchild(static_cast<std::uint32_t>(child.word(0)));
    ProcessWatch foreign(static_cast<std::uint32_t>(child.word(2)));
    child.process().signal(Signal::kill);
    EXPECT_EQ(child.wait(), ExitStatus::signalled(9));
    EXPECT_TRUE(grandchild.await_end());
    EXPECT_TRUE(foreign.await_end());
}

// ---- what a child inherits ------------------------------------------------------------------------------------------

TEST(OsWin32, AnInheritableHandleOfTheHostIsNotInherited) {
    SECURITY_ATTRIBUTES inheritable{sizeof(SECURITY_ATTRIBUTES), nullptr, TRUE};
    HANDLE ends[2] = {};
    ASSERT_NE(CreatePipe(&ends[0], &ends[1], &inheritable, 0), 0);
    const Handle reader = own(ends[0]);
    Handle writer = own(ends[1]);
    TestChild child(StartMethod::spawn, "win32_waits");
    ASSERT_TRUE(await_word(child.stage().words[0], 1));
    writer.reset();
    // The pipe is broken if and only if nobody has a writing end.
    EXPECT_EQ(PeekNamedPipe(native(reader.raw()), nullptr, 0, nullptr, nullptr, nullptr), 0);
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_BROKEN_PIPE));
}

OS_CHILD(counts_inheritable_handles) {
    std::uint32_t count = 0;
    for (const Handle& handle : args.handles) {
        DWORD flags = 0;
        if (GetHandleInformation(native(handle.raw()), &flags) == 0 || (flags & HANDLE_FLAG_INHERIT) != 0) ++count;
    }
    return count;
}

TEST(OsWin32, WhatAChildGotIsNotInheritedFurther) {
    const Segment segment = Segment::create(4096);
    TestChild child(StartMethod::spawn, "counts_inheritable_handles",
                    {.handles = {segment.handle(), segment.handle()}});
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
    DWORD flags = HANDLE_FLAG_INHERIT;
    EXPECT_NE(GetHandleInformation(native(segment.handle()), &flags), 0);
    EXPECT_EQ(flags & HANDLE_FLAG_INHERIT, 0u);
}

// Changes the standard handles of this process for a while.
class WithoutStandardHandles {
public:
    WithoutStandardHandles() {
        for (const DWORD id : ids) {
            saved_.push_back(GetStdHandle(id));
            SetStdHandle(id, nullptr);
        }
    }
    ~WithoutStandardHandles() {
        for (std::size_t i = 0; i < ids.size(); ++i) SetStdHandle(ids[i], saved_[i]);
    }
    WithoutStandardHandles(const WithoutStandardHandles&) = delete;
    WithoutStandardHandles& operator=(const WithoutStandardHandles&) = delete;

private:
    static constexpr std::array<DWORD, 3> ids{STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    std::vector<HANDLE> saved_;
};

OS_CHILD(tells_whether_it_has_streams) {
    const bool has_handles = GetFileType(GetStdHandle(STD_OUTPUT_HANDLE)) != FILE_TYPE_UNKNOWN &&
                             GetFileType(GetStdHandle(STD_ERROR_HANDLE)) != FILE_TYPE_UNKNOWN;
    const bool can_write = std::printf("text") == 4 && std::fflush(stdout) == 0;
    return has_handles && can_write ? 0 : 1;
}

OS_CHILD(has_no_streams_itself) {
    const WithoutStandardHandles without;
    std::fclose(stdout);
    std::fclose(stderr);
    TestChild child(StartMethod::spawn, "tells_whether_it_has_streams");
    const auto status = child.wait();
    return status ? status->number() : 2;
}

TEST(OsWin32, AProgramWithoutStandardHandlesStartsChildrenThatHaveThem) {
    {
        const WithoutStandardHandles without;
        TestChild child(StartMethod::spawn, "tells_whether_it_has_streams");
        EXPECT_EQ(child.wait(), ExitStatus::exited(0));
    }
    TestChild child(StartMethod::spawn, "has_no_streams_itself");
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

OS_CHILD(writes_by_the_system_call) {
    DWORD written = 0;
    return WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), "directly", 8, &written, nullptr) != 0 ? 0 : 1;
}

TEST(OsWin32, StandardOutputIsInstalledForTheSystemToo) {
    const Handle out = temporary_file();
    TestChild child(StartMethod::spawn, "writes_by_the_system_call", {.out = out.raw()});
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    EXPECT_EQ(contents_of(out.raw()), "directly");
}

OS_CHILD(tells_wide_environment_and_directory) {
    const auto utf8 = [](const std::wstring& text) { return narrow(text); };
    wchar_t value[100] = {};
    GetEnvironmentVariableW(L"MULTIPROC_GR\u00D6SSE", value, 100);
    set_answer(args.stage, utf8(value) + "|" + utf8(std::filesystem::current_path().filename().wstring()) + "|" +
                               utf8(std::filesystem::path(widen(executable_path())).filename().wstring()));
    return 0;
}

TEST(OsWin32, PathsAndEnvironmentAreUtf8) {
    namespace fs = std::filesystem;
    const std::string directory_name = "multiproc \xC3\xBC \xE6\x97\xA5\xE6\x9C\xAC";
    const fs::path directory = fs::temp_directory_path() / fs::path(widen(directory_name));
    fs::create_directories(directory);
    const fs::path copy = directory / fs::path(widen("a copy \xC3\xA4.exe"));
    fs::copy_file(fs::path(widen(executable_path())), copy, fs::copy_options::overwrite_existing);
    {
        TestChild child(StartMethod::spawn, "tells_wide_environment_and_directory",
                        {.cwd = narrow(directory.wstring()),
                         .env = std::vector<std::string>{"MULTIPROC_GR\xC3\x96SSE=\xE2\x82\xAC 5"},
                         .executable = narrow(copy.wstring())});
        EXPECT_EQ(child.wait(), ExitStatus::exited(0));
        EXPECT_EQ(answer_of(child.stage()), "\xE2\x82\xAC 5|" + directory_name + "|a copy \xC3\xA4.exe");
    }
    std::error_code ignored;
    fs::remove_all(directory, ignored);  // the system may hold the executable for a moment longer
}

std::vector<std::string> names_in(const std::wstring& block) {
    std::vector<std::string> names;
    for (const wchar_t* entry = block.c_str(); *entry != L'\0'; entry += std::wcslen(entry) + 1) {
        const std::string text = narrow(entry);
        names.push_back(text.substr(0, text.find('=', 1)));
    }
    return names;
}

TEST(OsWin32, TheEnvironmentBlockIsSortedAndNamesAreUnique) {
    const std::vector<std::string> given{"zeta=1",  "Alpha=2", "=C:=C:\\x", "SYSTEMROOT=C:\\windows",
                                         "ALPHA=3", "_b=4",    "B=5"};
    const std::wstring block = environment_block(given, "text");
    EXPECT_EQ(names_in(block),
              (std::vector<std::string>{"=C:", "ALPHA", "B", "MULTIPROC_BOOTSTRAP", "SYSTEMROOT", "zeta", "_b"}));
    for (const std::string& bad : {std::string(), std::string("no equals sign"), std::string("a=b\0c", 5)}) {
        EXPECT_THROW(environment_block(std::vector{bad}, "text"), std::invalid_argument) << bad;
    }
}

// ---- the bootstrap variable -----------------------------------------------------------------------------------------

TEST(OsWin32, AVariableOfSomebodyElseIsNoBootstrap) {
    set_environment(bootstrap_variable, "a boot strap");
    EXPECT_FALSE(is_bootstrap_pending());
    EXPECT_FALSE(take_bootstrap().has_value());
    EXPECT_STREQ(std::getenv(bootstrap_variable), "a boot strap");
    set_environment(bootstrap_variable, "");
}

// Who started this process; 0 if that is not known.
std::uint32_t creator_of_this_process() {
    const Handle snapshot = own_or_throw(CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0), "cannot list the processes");
    PROCESSENTRY32W entry{};
    entry.dwSize = sizeof entry;
    for (BOOL more = Process32FirstW(native(snapshot.raw()), &entry); more != 0;
         more = Process32NextW(native(snapshot.raw()), &entry)) {
        if (entry.th32ProcessID == GetCurrentProcessId()) return entry.th32ParentProcessID;
    }
    return 0;
}

BootstrapNumbers numbers_from(std::uint32_t parent) {
    return {.parent_pid = parent, .parent = 4, .out = 8, .err = 12, .interrupt = 16, .handles = {20}};
}

TEST(OsWin32, ABootstrapThatCannotBeTakenIsAnErrorAndIsGone) {
    const std::string of_another_program = numbers_from(creator_of_this_process()).text();
    ASSERT_TRUE(BootstrapNumbers::parse(of_another_program).has_value());
    const std::string damaged = of_another_program.substr(0, of_another_program.size() - 4);
    for (const std::string& text : {of_another_program, damaged + "x", std::string("multiproc-1:"),
                                    std::string("multiproc-1:1,ffffffffffffffff,1,1,1,")}) {
        set_environment(bootstrap_variable, text);
        EXPECT_TRUE(is_bootstrap_pending()) << text;
        EXPECT_EQ(error_of([] { take_bootstrap(); }), std::errc::bad_message) << text;
        EXPECT_FALSE(is_bootstrap_pending());
        EXPECT_EQ(std::getenv(bootstrap_variable), nullptr);
    }
}

OS_CHILD(has_a_variable_for_another) {
    if (creator_of_this_process() != args.parent_pid) return 1;
    set_environment(bootstrap_variable, numbers_from(args.parent_pid + 4).text());
    if (is_bootstrap_pending()) return 2;
    if (take_bootstrap().has_value()) return 3;
    return std::getenv(bootstrap_variable) == nullptr ? 0 : 4;
}

TEST(OsWin32, ABootstrapMeantForAnotherProcessIsNone) {
    TestChild child(StartMethod::spawn, "has_a_variable_for_another");
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

OS_CHILD(has_a_file_locked_by_a_reader) {
    // A thread that waits for input holds the lock of its stream.
    HANDLE ends[2] = {};
    if (CreatePipe(&ends[0], &ends[1], nullptr, 0) == 0) return 1;
    std::FILE* const file = _fdopen(_open_osfhandle(raw(ends[0]), 0), "r");
    if (file == nullptr) return 2;
    std::atomic<bool>& reading = *new std::atomic<bool>{false};
    std::thread([file, &reading] {
        _lock_file(file);
        reading = true;
        std::fgetc(file);
    }).detach();
    while (!reading) std::this_thread::yield();
    std::printf("text");
    return 0;
}

TEST(OsWin32, AThreadThatReadsDoesNotKeepTheStreamsFromBeingFlushed) {
    const Handle out = temporary_file();
    TestChild child(StartMethod::spawn, "has_a_file_locked_by_a_reader", {.out = out.raw()});
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
    EXPECT_EQ(contents_of(out.raw()), "text");
}

// ---- handles
// ----------------------------------------------------------------------------------------------------------

TEST(OsWin32, PseudoHandlesAreNoHandles) {
    // -1 means this process and -2 this thread in every call that takes a handle.
    for (const RawHandle pseudo : {RawHandle{-1}, RawHandle{-2}, RawHandle{0}}) {
        EXPECT_THROW(duplicate(pseudo), std::system_error);
        EXPECT_THROW(TestChild(StartMethod::spawn, "win32_waits", {.handles = {pseudo}}), std::system_error);
    }
}

TEST(OsWin32, AFileIsNoSegment) {
    const Handle file = temporary_file();
    const std::vector<char> page(4096, 'x');
    DWORD written = 0;
    ASSERT_NE(WriteFile(native(file.raw()), page.data(), 4096, &written, nullptr), 0);
    Handle mapping = own(CreateFileMappingW(native(file.raw()), nullptr, PAGE_READWRITE, 0, 0, nullptr));
    ASSERT_TRUE(mapping);
    EXPECT_EQ(error_of([&] { Segment::adopt(std::move(mapping), 4096); }), std::errc::bad_message);
}

TEST(OsWin32, ReservedMemoryAndAReadOnlyHandleAreNoSegment) {
    Handle reserved =
        own(CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE | SEC_RESERVE, 0, 65536, nullptr));
    ASSERT_TRUE(reserved);
    EXPECT_EQ(error_of([&] { Segment::adopt(std::move(reserved), 4096); }), std::errc::bad_message);
    const Segment segment = Segment::create(4096);
    Handle read_only = duplicate_with(native(segment.handle()), SECTION_MAP_READ, false);
    EXPECT_EQ(error_of([&] { Segment::adopt(std::move(read_only), 4096); }), std::errc::bad_message);
}

TEST(OsWin32, AHandleLinkWorksWithinOneProcessAndOwnsWhatNobodyReceived) {
    auto [link, child_end] = HandleLink::create();
    auto child = HandleLink::adopt(std::move(child_end));
    const Segment segment = Segment::create(4096);
    segment.data()[9] = std::byte(9);
    EXPECT_EQ(error_of([&] { link->receive(77); }), std::errc::bad_message);  // the first error may load what stays
    const std::size_t before = open_handle_count();
    child->send(segment.handle());  // its token is lost on the way
    const std::uint64_t token = child->send(segment.handle());
    child->send(segment.handle());  // nobody asks for it
    EXPECT_EQ(Segment::adopt(link->receive(token), 4096).data()[9], std::byte(9));
    EXPECT_EQ(error_of([&] { link->receive(token); }), std::errc::bad_message);
    EXPECT_EQ(open_handle_count(), before + 1);
    link.reset();
    EXPECT_LE(open_handle_count(), before);
}

TEST(OsWin32, ADamagedEntryDoesNotMakeTheReceiverTakeAHandleOfItsOwn) {
    auto [link, child_end] = HandleLink::create();
    const Segment shared = Segment::adopt(duplicate(child_end.raw()), 4096);
    auto child = HandleLink::adopt(std::move(child_end));
    const Segment segment = Segment::create(4096);
    const Handle victim = temporary_file();
    const std::uint64_t token = child->send(segment.handle());
    // Whatever 8 bytes of the shared memory hold the pushed handle's value, another one is there now.
    const std::uint64_t wrong = static_cast<std::uint64_t>(victim.raw());
    for (std::size_t offset = 32; offset + 8 <= shared.size(); offset += 8) {
        std::uint64_t value = 0;
        std::memcpy(&value, shared.data() + offset, 8);
        if (value > 1 && value < 0x10000 && value % 4 == 0) std::memcpy(shared.data() + offset, &wrong, 8);
    }
    // (The entries of what the child sends lie behind the first pages.)
    const Segment whole = Segment::adopt(duplicate(shared.handle()), 16 * 4096);
    for (std::size_t offset = 4096; offset + 8 <= whole.size(); offset += 8) {
        std::uint64_t value = 0;
        std::memcpy(&value, whole.data() + offset, 8);
        if (value > 1 && value < 0x10000 && value % 4 == 0) std::memcpy(whole.data() + offset, &wrong, 8);
    }
    EXPECT_EQ(error_of([&] { link->receive(token); }), std::errc::bad_message);
    EXPECT_EQ(contents_of(victim.raw()), "");
    DWORD flags = 0;
    EXPECT_NE(GetHandleInformation(native(victim.raw()), &flags), 0);
}

// ---- parking --------------------------------------------------------------------------------------------------------

TEST(OsWin32, AParkingLotNeedsAHandleOnlyWhereSomebodySleeps) {
    const std::size_t before = open_handle_count();
    {
        const auto lot = ParkingLot::create();
        EXPECT_EQ(lot->handles().size(), 2u);
        EXPECT_EQ(open_handle_count(), before + 2);
        std::atomic<std::uint32_t> word{0};
        for (std::size_t slot = 0; slot < ParkingLot::slot_count; ++slot) lot->unpark(slot, word);
        EXPECT_EQ(open_handle_count(), before + 2);
        for (std::size_t slot = 0; slot < 10; ++slot) lot->park(slot, word, 0, Clock::now());
        EXPECT_EQ(open_handle_count(), before + 2 + 2 * 10);
        for (int i = 0; i < 3; ++i) lot->park(0, word, 0, Clock::now() + std::chrono::milliseconds(1));
        EXPECT_EQ(open_handle_count(), before + 2 + 2 * 10 + 1) << "the timer";
    }
    EXPECT_EQ(open_handle_count(), before);
}

// The tick of the system is 15.6 ms unless somebody asked for a shorter one: 20 waits that followed it would take 312.
TEST(OsWin32, WaitsDoNotFollowTheTickOfTheSystem) {
    const auto lot = ParkingLot::create();
    std::atomic<std::uint32_t> word{0};
    Clock::duration best = Clock::duration::max();
    for (int attempt = 0; attempt < 20 && best > std::chrono::milliseconds(100); ++attempt) {
        const Deadline begin = Clock::now();
        for (int i = 0; i < 20; ++i) {
            const Deadline deadline = Clock::now() + std::chrono::milliseconds(1);
            while (lot->park(0, word, 0, deadline)) {}
        }
        best = std::min(best, Clock::now() - begin);
    }
    EXPECT_GE(best, std::chrono::milliseconds(20));
    EXPECT_LT(best, std::chrono::milliseconds(200));
}

TEST(OsWin32, AWaitWithADeadlineIsWokenAndForgetsTheTimersOfEarlierOnes) {
    const auto lot = ParkingLot::create();
    std::atomic<std::uint32_t> word{0};
    for (std::uint32_t round = 0; round < 200; ++round) {
        std::thread waker([&] {
            word = round + 1;
            lot->unpark(0, word);
        });
        // The timer of this round would end while a later one waits.
        while (word.load() == round) EXPECT_TRUE(lot->park(0, word, round, Clock::now() + std::chrono::seconds(30)));
        waker.join();
        const Deadline deadline = Clock::now() + std::chrono::microseconds(200);
        while (lot->park(0, word, round + 1, deadline)) {}
        EXPECT_GE(Clock::now(), deadline);
    }
}

OS_CHILD(sleeps_in_each_slot) {
    std::vector<Handle> handles;
    for (Handle& handle : args.handles) handles.push_back(std::move(handle));
    const auto lot = ParkingLot::adopt(std::move(handles));
    auto& word = reinterpret_cast<std::atomic<std::uint32_t>&>(args.stage.words[0]);
    for (std::uint32_t slot = 0; slot < ParkingLot::slot_count; ++slot) {
        while (word.load() <= slot) {
            args.stage.words[1] = slot + 1;
            if (!lot->park(slot, word, slot, Clock::now() + patience)) return 1;
        }
    }
    return 0;
}

TEST(OsWin32, EverySlotWakesAChildThatWasTheFirstToSleepThere) {
    const auto lot = ParkingLot::create();
    TestChild child(StartMethod::spawn, "sleeps_in_each_slot", {.handles = lot->handles()});
    auto& word = reinterpret_cast<std::atomic<std::uint32_t>&>(child.stage().words[0]);
    for (std::uint32_t slot = 0; slot < ParkingLot::slot_count; ++slot) {
        ASSERT_TRUE(await_word(child.stage().words[1], slot + 1));
        word = slot + 1;
        lot->unpark(slot, word);
    }
    EXPECT_EQ(child.wait(), ExitStatus::exited(0));
}

}  // namespace
}  // namespace multiproc::os::test
