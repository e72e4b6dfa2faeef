// Presses Ctrl+C in the console of another process: ctrl_c_win32 PID. A process that does so leaves its own console and
// must not be ended by it, so it is a program of its own.
#include <windows.h>

#include <cstdlib>

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    FreeConsole();
    if (AttachConsole(static_cast<DWORD>(std::strtoul(argv[1], nullptr, 10))) == 0) return 3;
    SetConsoleCtrlHandler(nullptr, TRUE);
    return GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) != 0 ? 0 : 4;
}
