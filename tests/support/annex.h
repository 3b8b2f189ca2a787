// One more network of the fake world, behind the Internet, where nothing serves but what a test starts there:
// any port of any of its addresses is free.
//
//   host ◄──► internet                     annex
//             annex 203.0.113.65      ◄──► eth0 203.0.113.70 ... 203.0.113.99
//                   2001:db8:7::1               2001:db8:7::70 ... 2001:db8:7::99
#pragma once

#include "world.h"

namespace netjail::test {

class Annex {
 public:
  static Result<Annex> create(const FakeWorld& world);
  Place place() const { return network_.place(); }
  // python3 with a script of tests/e2e, as root; its output begins with "ready" when it serves.
  Result<Process> serve(const std::string& script, std::vector<std::string> arguments = {}) const;

 private:
  explicit Annex(NetworkNamespace network) : network_(std::move(network)) {}
  NetworkNamespace network_;
};

}  // namespace netjail::test
