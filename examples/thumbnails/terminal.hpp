// What differs between systems about terminals and command lines. CMake compiles terminal_posix.cpp or
// terminal_win32.cpp.
#pragma once

#include <string>
#include <vector>

namespace thumbnails {

/// True if a person reads stdout in a terminal, false if it goes into a file or another program.
bool stdout_is_terminal();

/// The width of that terminal in characters; 80 if it does not tell.
int terminal_columns();

/// What the user typed after the program's name, as UTF-8 where the system has names that are no bytes.
std::vector<std::string> arguments(int argc, char** argv);

/// Lets the terminal show the names of files, which are printed as UTF-8.
void prepare_terminal();

}  // namespace thumbnails
