// Makes a function of a test's module visible to the program that loads it.
#pragma once

#include <multiproc/config.hpp>

#if defined(_WIN32)
#define MULTIPROC_TEST_EXPORT __declspec(dllexport)
#else
#define MULTIPROC_TEST_EXPORT __attribute__((visibility("default")))
#endif
