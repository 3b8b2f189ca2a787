// stamp: writes CLOCK_MONOTONIC, in nanoseconds, to file descriptor 1 as one line of text, at its very first
// instruction.
//
// It is the `true` of the measurements: started as the jail's program it says when the program could have
// begun. As the write is also the last thing before exit (tens of microseconds of nothing in between), the
// same number tells from when on a launcher could have reaped it. No libc, no start files: _start is the
// first instruction, and there is no loader, no relocation and no TLS to set up before it.
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#include "call3.h"

__attribute__((noreturn)) void _start(void) {
  struct timespec now;
  call3(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0);
  uint64_t value = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
  char text[24];
  char* at = text + sizeof text;
  *--at = '\n';
  do *--at = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  call3(SYS_write, 1, (long)at, (long)(text + sizeof text - at));
  for (;;) call3(SYS_exit_group, 0, 0, 0);
}
