// What the supervisor takes of the caller's for the length of a run: signals, and the terminal's foreground.
#pragma once

#include <fcntl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>

#include "netjail/os/fd.h"

namespace netjail {

// Blocks every signal that can be blocked for as long as it lives.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    // A fault of our own must still end us.
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
      sigdelset(&all, fault);
    ::sigprocmask(SIG_BLOCK, &all, &before_);
    fd_ = Fd(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  int fd() const { return fd_.get(); }

 private:
  sigset_t before_;
  Fd fd_;
};

// The controlling terminal, if we are in its foreground: an interactive shell inside makes itself the
// foreground group, and the terminal must be given back when it is gone.
class Terminal {
 public:
  Terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (fd_ && ::tcgetpgrp(fd_.get()) != ::getpgrp()) fd_.reset();
  }
  void take_back() {
    if (fd_ && ::tcgetpgrp(fd_.get()) != ::getpgrp())
      ::tcsetpgrp(fd_.get(), ::getpgrp());  // SIGTTOU is blocked
  }

 private:
  Fd fd_;
};

}  // namespace netjail
