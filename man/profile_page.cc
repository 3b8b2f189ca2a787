// Fills the two marked places of netjail-profile.5.in from the key table: the keys that this version keeps,
// and those that are reserved for a later one. Runs at build time; mdoc(7) goes to standard output.
#include <unistd.h>

#include <cstdio>
#include <string>

#include "netjail/base/text.h"
#include "netjail/os/fd.h"
#include "netjail/profile/keys.h"

namespace {

using namespace netjail;

std::string header(std::string_view table) {
  const std::string name(table);
  if (table.empty()) return "Top level";
  return is_table_list(table) ? "[[" + name + "]]" : "[" + name + "]";
}

// Text as mdoc shows it: no escape, no macro at the start of a line, `x` as a literal.
std::string roff(std::string_view text) {
  std::string out;
  bool literal = false;
  for (const char c : text) {
    if (c == '`') {
      out += literal ? "\\fR" : "\\fB";
      literal = !literal;
    } else if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '"') {
      out += "\\(dq";
    } else {
      out += c;
    }
  }
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out = "\\&" + out;
  return out;
}

std::string supported_keys() {
  std::string out;
  for (const std::string& table : key_tables()) {
    if (!is_supported_table(table)) continue;
    out += ".Ss " + roff(header(table)) + "\n.Bl -tag -width Ds\n";
    for (const KeyInfo& info : profile_keys()) {
      if (info.table != table || !info.supported) continue;
      out += ".It Ic " + roff(info.key) + "\n" + roff(info.description) + "\nA value is " + roff(info.type) +
             ".\n";
      if (!info.fallback.empty()) out += "The default is " + roff(info.fallback) + ".\n";
    }
    out += ".El\n";
  }
  return out;
}

std::string reserved_keys() {
  std::string out = ".Bl -tag -width Ds\n";
  for (const std::string& table : key_tables()) {
    std::string keys;
    for (const KeyInfo& info : profile_keys())
      if (info.table == table && !info.supported)
        keys += (keys.empty() ? ".Ic " : " ,\n.Ic ") + roff(info.key);
    if (!keys.empty()) out += ".It " + roff(header(table)) + "\n" + keys + "\n";
  }
  return out + ".El\n";
}

bool replace(std::string& text, std::string_view mark, const std::string& with) {
  const auto at = text.find(mark);
  if (at == std::string::npos) return false;
  text.replace(at, mark.size(), with);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto text = netjail::read_file(argv[1]);
  if (!text) {
    std::fputs(render_error(text.error()).c_str(), stderr);
    return 1;
  }
  if (!replace(*text, "@KEYS@\n", supported_keys()) || !replace(*text, "@RESERVED@\n", reserved_keys())) {
    std::fprintf(stderr, "%s: @KEYS@ or @RESERVED@ is missing\n", argv[1]);
    return 1;
  }
  const auto written = netjail::write_all(STDOUT_FILENO, *text);
  if (!written) std::fputs(render_error(written.error()).c_str(), stderr);
  return written ? 0 : 1;
}
