// The words of [unix] allow and of [process] share and devices: paths of the host, and presets of sockets.
#include <algorithm>
#include <string>

#include "netjail/base/text.h"
#include "netjail/profile/keys.h"
#include "words.h"

namespace netjail {
namespace {

// Whole, and the same whoever reads it: no '..', no '.', nothing doubled.
std::optional<Mistake> explain_path(std::string_view text) {
  if (!text.starts_with('/'))
    return Mistake{quote_word(text) + " is no path: it does not begin with '/'",
                   text.starts_with("~/") ? "write the home folder out" : ""};
  if (text == "/") return Mistake{"'/' is everything", "name one folder or file"};
  for (const std::string_view part : split(text.substr(1), '/')) {
    if (part.empty()) return Mistake{quote_word(text) + " has a '/' too many"};
    if (part == "." || part == "..")
      return Mistake{quote_word(text) + " goes by " + quote_word(part), "write the path straight"};
  }
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return Mistake{"a path has a control character in it"};
  constexpr std::size_t kMost = 4095;  // PATH_MAX
  if (text.size() > kMost) return Mistake{"a path is too long"};
  return std::nullopt;
}

// A word of the command line alone, as the file that it is.
Parsed<std::string> parse_word(std::string_view text, const char* option,
                               Word<std::string> (*read)(std::string_view)) {
  auto word = read(text);
  if (word) return std::move(*word);
  Source source(text, option);
  source.complain({1, 1, std::max<std::uint32_t>(1, count_columns(text))}, std::move(word).error());
  return std::unexpected(source.take());
}

}  // namespace

Parsed<std::string> parse_unix_socket(std::string_view text) {
  return parse_word(text, "--unix", read_unix_socket);
}
Parsed<std::string> parse_shared_path(std::string_view text) {
  return parse_word(text, "--share", read_shared_path);
}

Word<std::string> read_unix_socket(std::string_view text) {
  const auto known = unix_preset_names();
  if (std::ranges::find(known, text) != known.end()) return std::string(text);
  if (text.starts_with('@'))
    return mistake(quote_word(text) + " is an abstract socket: it is of another network namespace",
                   "have the server listen at a path");
  if (text.find('/') == text.npos) {
    const std::vector<std::string> names(known.begin(), known.end());
    const auto meant = nearest(lower(text), names);
    return mistake(quote_word(text) + " is neither a path nor one of the names known here",
                   meant ? "did you mean '" + *meant + "'?"
                         : "known here: " + join(names, ", ") + "; a path begins with '/'");
  }
  if (auto wrong = explain_path(text)) return std::unexpected(std::move(*wrong));
  return std::string(text);
}

Word<std::string> read_shared_path(std::string_view text) {
  if (auto wrong = explain_path(text)) return std::unexpected(std::move(*wrong));
  if (text == "/dev" || (text.starts_with("/dev/") && text != "/dev/shm" && !text.starts_with("/dev/shm/")))
    return mistake(quote_word(text) + " is a device, not a folder to share",
                   "devices = [" + std::string("\"") + std::string(text) + "\"]");
  for (const std::string_view kernel : {"/proc", "/sys"})
    if (text == kernel || text.starts_with(std::string(kernel) + "/"))
      return mistake(quote_word(text) + " is the kernel's: the jail has its own");
  return std::string(text);
}

Word<std::string> read_device(std::string_view text) {
  if (auto wrong = explain_path(text)) return std::unexpected(std::move(*wrong));
  if (!text.starts_with("/dev/"))
    return mistake(quote_word(text) + " is no device: those are below /dev", "such as \"/dev/dri\"");
  for (const std::string_view kept : {"/dev/shm", "/dev/pts", "/dev/mqueue", "/dev/fd"})
    if (text == kept || text.starts_with(std::string(kept) + "/"))
      return mistake(quote_word(text) + " is no device: the jail has its own");
  return std::string(text);
}

}  // namespace netjail
