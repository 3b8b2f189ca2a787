// Set by needs_root(), read by main(): the program's exit status tells ctest that a test was skipped.
#pragma once

namespace netjail::test {
extern bool g_skipped;
}
