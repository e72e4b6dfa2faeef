#include <cstdio>

#include <io.h>
#include <windows.h>

#include <shellapi.h>

#include "terminal.hpp"

namespace thumbnails {

bool stdout_is_terminal() { return _isatty(_fileno(stdout)) != 0; }

int terminal_columns() {
    CONSOLE_SCREEN_BUFFER_INFO info{};
    if (GetConsoleScreenBufferInfo(GetStdHandle(STD_OUTPUT_HANDLE), &info) == 0) return 80;
    return info.srWindow.Right - info.srWindow.Left + 1;
}

std::vector<std::string> arguments(int /*argc*/, char** /*argv*/) {
    // What main is given is squeezed into the system's code page and has lost the names that do not fit there.
    int count = 0;
    wchar_t** const wide = CommandLineToArgvW(GetCommandLineW(), &count);
    std::vector<std::string> texts;
    for (int i = 1; i < count; ++i) {
        const int size = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, nullptr, 0, nullptr, nullptr);
        std::string text(static_cast<std::size_t>(size), '\0');
        WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, text.data(), size, nullptr, nullptr);
        text.resize(text.size() - 1);  // the size counted the terminating zero
        texts.push_back(text);
    }
    LocalFree(wide);
    return texts;
}

void prepare_terminal() { SetConsoleOutputCP(CP_UTF8); }

}  // namespace thumbnails
