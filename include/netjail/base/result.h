// Errors are values. Every function that can fail returns Result<T>; nobody below main() prints.
//
// An Error says what was tried, with its values ("cannot add route 0.0.0.0/0 via 10.9.9.9 in the jail"), the
// errno, the kernel's own words (netlink extended ack) where there are any, and a hint: what the reader can
// do about it.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace netjail {

struct Error {
  std::string what;    // what was tried, with its values; a phrase without a full stop
  int code = 0;        // errno, 0 when the failure is not the kernel's
  std::string kernel;  // extended ack of the kernel, may be empty
  std::string hint;    // the remedy, may be empty
  int status = 125;    // exit status of netjail: 125 own failure, 126 cannot execute, 127 not found

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// An Error from errno as it is now.
Error errno_error(std::string what, std::string hint = {});
Error make_error(std::string what, std::string hint = {});
std::unexpected<Error> fail(std::string what, std::string hint = {});
std::unexpected<Error> fail_errno(std::string what, std::string hint = {});

// "netjail: WHAT: strerror(code)\n  kernel: ...\n  hint: ...\n"
std::string render_error(const Error& error);

}  // namespace netjail

// NJ_TRY(expr): return the Error of a failed Status or Result. NJ_TRY_AS(decl, expr): the same, else declare
// its value.
#define NJ_CONCAT_(a, b) a##b
#define NJ_CONCAT(a, b) NJ_CONCAT_(a, b)
#define NJ_TRY(expr)                                                                               \
  do {                                                                                             \
    if (auto nj_status = (expr); !nj_status) return std::unexpected(std::move(nj_status).error()); \
  } while (false)
#define NJ_TRY_AS(decl, expr)                                                   \
  auto NJ_CONCAT(nj_result_, __LINE__) = (expr);                                \
  if (!NJ_CONCAT(nj_result_, __LINE__))                                         \
    return std::unexpected(std::move(NJ_CONCAT(nj_result_, __LINE__)).error()); \
  decl = std::move(*NJ_CONCAT(nj_result_, __LINE__))
