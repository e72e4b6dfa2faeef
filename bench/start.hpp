// The child that the bench itself becomes when its program file is started to do nothing.
#pragma once

namespace bench {

/// In the environment, this makes `main` leave at once.
inline constexpr const char* do_nothing_variable = "MULTIPROC_BENCH_DO_NOTHING";

}  // namespace bench
