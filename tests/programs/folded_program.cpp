// Linked so that functions with the same code become one. Runs tasks of many types and checks that each is itself.
#include "support/identity_program.hpp"

int main(int argc, char** argv) { return multiproc::test::run_identity_program(argc, argv); }
