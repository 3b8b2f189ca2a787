#include "netjail/base/result.h"

#include <cerrno>
#include <cstring>

namespace netjail {

Error make_error(std::string what, std::string hint) {
  Error error;
  error.what = std::move(what);
  error.hint = std::move(hint);
  return error;
}

Error errno_error(std::string what, std::string hint) {
  const int code = errno;
  Error error = make_error(std::move(what), std::move(hint));
  error.code = code;
  return error;
}

std::unexpected<Error> fail(std::string what, std::string hint) {
  return std::unexpected(make_error(std::move(what), std::move(hint)));
}

std::unexpected<Error> fail_errno(std::string what, std::string hint) {
  return std::unexpected(errno_error(std::move(what), std::move(hint)));
}

std::string render_error(const Error& error) {
  std::string out = "netjail: " + error.what;
  if (error.code != 0) out.append(": ").append(std::strerror(error.code));
  out += '\n';
  if (!error.kernel.empty()) out.append("  kernel: ").append(error.kernel).append("\n");
  if (!error.hint.empty()) out.append("  hint: ").append(error.hint).append("\n");
  return out;
}

}  // namespace netjail
