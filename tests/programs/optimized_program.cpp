// Optimized at link time, without its unused sections. Runs tasks of many types and checks that each is itself.
#include "support/identity_program.hpp"

int main(int argc, char** argv) { return multiproc::test::run_identity_program(argc, argv); }
