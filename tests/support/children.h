// Which children of the test a Process waits for: only the others are reaped by descendants().
#pragma once

#include <sys/types.h>

namespace netjail::test {
void own_child(pid_t pid);
void disown_child(pid_t pid);
}  // namespace netjail::test
