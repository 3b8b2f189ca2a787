#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "skipped.h"

bool netjail::test::g_skipped = false;

// A program of which a test could not run here must not look as if it had passed: status 77
// (SKIP_RETURN_CODE).
int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int status = context.run();
  return status == 0 && netjail::test::g_skipped ? 77 : status;
}
