// The example thumbnails: one smaller picture for each in a folder, whatever is wrong with its neighbours.
//
//     images = get_image_paths(folder)
//     pool = Pool()
//     pool.map(create_thumbnail, images)
//     pool.close()
//     pool.join()
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include <multiproc/multiproc.hpp>

#include "support/each_start_method.hpp"
#include "support/run_program.hpp"
#include "support/temporary.hpp"

namespace {

namespace mp = multiproc;

class ExampleThumbnails : public mp::test::EachStartMethod {};

// A PNG file: eight red pixels.
constexpr unsigned char red_png[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x04, 0x00, 0x00, 0x00, 0x02, 0x08, 0x02, 0x00, 0x00, 0x00, 0xf0, 0xca, 0xea, 0x34, 0x00, 0x00, 0x00, 0x10, 0x49,
    0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8, 0xcf, 0xc0, 0x00, 0x47, 0x0c, 0xc8, 0x1c, 0x00, 0x6f, 0xaa, 0x07, 0xf9,
    0x68, 0xdd, 0xaf, 0xa7, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

TEST_F(ExampleThumbnails, AreMadeOfEachPictureThatCanBeRead) {
    const mp::test::TemporaryDirectory folder;
    std::filesystem::create_directory(folder.path() / "pictures");
    const std::string red(std::begin(red_png), std::end(red_png));
    mp::test::write_file(folder.file("pictures/first.png"), red);
    mp::test::write_file(folder.file("pictures/second.png"), red);
    mp::test::write_file(folder.file("pictures/torn.png"), red.substr(0, 40));

    const std::string method(to_string(mp::get_start_method()));
    const mp::test::ProgramResult result = mp::test::run_program(
        MULTIPROC_TEST_THUMBNAILS, {.args = {folder.file("pictures"), "--output", folder.file("thumbs"),
                                             "--start-method", method, "--baseline", "none"}});
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0));
    EXPECT_NE(result.out.find("3 pictures, 1 failure"), std::string::npos) << result.out;
    EXPECT_NE(result.err.find("torn.png: "), std::string::npos) << result.err;
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
    for (const char* made : {"thumbs/000001-first.jpg", "thumbs/000002-second.jpg", "thumbs/contact-sheet.png"})
        EXPECT_TRUE(std::filesystem::exists(folder.path() / made)) << made;
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "thumbs/000003-torn.jpg"));
}

// The same pictures, when this process reads and writes the files. (Not by plain fork, and where there are sandboxes.)
TEST_F(ExampleThumbnails, AreMadeByWorkersThatCanOpenNoFiles) {
    const mp::test::TemporaryDirectory folder;
    std::filesystem::create_directory(folder.path() / "pictures");
    const std::string red(std::begin(red_png), std::end(red_png));
    mp::test::write_file(folder.file("pictures/first.png"), red);
    mp::test::write_file(folder.file("pictures/torn.png"), red.substr(0, 40));

    const std::string method(to_string(mp::get_all_start_methods().front()));
    const mp::test::ProgramResult result = mp::test::run_program(
        MULTIPROC_TEST_THUMBNAILS, {.args = {folder.file("pictures"), "--output", folder.file("thumbs"), "--sandbox",
                                             "--count", "30", "--start-method", method, "--baseline", "none"}});
    if (!mp::sandbox_available()) {
        EXPECT_EQ(result.status, mp::ExitStatus::exited(1));
        EXPECT_NE(result.err.find(mp::sandbox_problem()), std::string::npos) << result.err;
        return;
    }
    EXPECT_EQ(result.status, mp::ExitStatus::exited(0)) << result.err;
    EXPECT_NE(result.out.find("30 pictures, 15 failures"), std::string::npos) << result.out;
    EXPECT_NE(result.err.find("torn.png: "), std::string::npos) << result.err;
    for (const char* made : {"thumbs/000001-first.jpg", "thumbs/000029-first.jpg", "thumbs/contact-sheet.png"})
        EXPECT_TRUE(std::filesystem::exists(folder.path() / made)) << made;
}

}  // namespace
