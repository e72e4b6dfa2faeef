// The executable, shared libraries and what is in them.
#include "support/os_child.hpp"

#include <filesystem>

#include <multiproc/errors.hpp>

namespace multiproc::os::test {
namespace {

int some_function() { return 1; }
int some_data = 1;

const void* address_of(int (*function)()) { return reinterpret_cast<const void*>(function); }

TEST(OsModules, MainModuleIsThisExecutable) {
    const Module module = main_module();
    EXPECT_TRUE(module.is_executable);
    EXPECT_TRUE(std::filesystem::path(module.path).is_absolute()) << module.path;
    EXPECT_TRUE(std::filesystem::equivalent(module.path, executable_path()));
    EXPECT_NE(module.base, 0u);
    EXPECT_FALSE(module.build_id.empty());
}

TEST(OsModules, CodeAndDataBelongToTheirModule) {
    const Module main = main_module();
    for (const void* address : {address_of(some_function), static_cast<const void*>(&some_data)}) {
        const auto module = module_of(address);
        ASSERT_TRUE(module.has_value());
        EXPECT_EQ(module->base, main.base);
        EXPECT_EQ(module->build_id, main.build_id);
        EXPECT_EQ(module->path, main.path);
    }
}

TEST(OsModules, OnlyCodeIsCode) {
    EXPECT_TRUE(is_code(address_of(some_function)));
    EXPECT_FALSE(is_code(&some_data));
    const int local = 0;
    EXPECT_FALSE(is_code(&local));
    EXPECT_FALSE(is_code(nullptr));
}

TEST(OsModules, HeapAndNullBelongToNone) {
    const auto heap = std::make_unique<int>(1);
    EXPECT_FALSE(module_of(heap.get()).has_value());
    EXPECT_FALSE(module_of(nullptr).has_value());
}

TEST(OsModules, LoadingALoadedModuleFindsIt) {
    const Module main = main_module();
    EXPECT_EQ(load_module(main.path).base, main.base);
}

TEST(OsModules, LoadingWhatIsNotThereIsAnErrorThatNamesIt) {
    try {
        load_module("/no/such/module-of-ours");
        ADD_FAILURE() << "it was loaded";
    } catch (const std::exception& error) {
        EXPECT_NE(std::string(error.what()).find("module-of-ours"), std::string::npos) << error.what();
    }
}

OS_CHILD(tells_main_module) {
    const Module main = main_module();
    set_answer(args.stage, main.build_id);
    args.stage.words[0] = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&some_data) - main.base);
    return 0;
}

class OsModulesInChild : public testing::TestWithParam<StartMethod> {};

INSTANTIATE_TEST_SUITE_P(Methods, OsModulesInChild, testing::ValuesIn(start_methods()),
                         [](const auto& method) { return name_of(method.param); });

TEST_P(OsModulesInChild, OffsetsAndBuildIdAreTheSameThere) {
    TestChild child(GetParam(), "tells_main_module");
    ASSERT_EQ(child.wait(), ExitStatus::exited(0));
    const Module main = main_module();
    EXPECT_EQ(answer_of(child.stage()), main.build_id);
    EXPECT_EQ(child.word(0), reinterpret_cast<std::uintptr_t>(&some_data) - main.base);
}

}  // namespace
}  // namespace multiproc::os::test
