// sources.list(5), as apt-pkg/sourcelist.cc and deb/debmetaindex.cc read it.
#include <algorithm>
#include <array>

#include "netjail/base/text.h"
#include "set_reader.h"

namespace netjail {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// A '#' inside brackets begins no comment.
std::string_view without_comment(std::string_view line) {
  std::size_t end = 0;
  while ((end = line.find_first_of("#[", end)) != line.npos && line[end] == '[') {
    const auto close = line.find(']', end);
    if (close == line.npos) return line.substr(0, line.find('#', end));
    end = close;
  }
  return line.substr(0, end);
}

// One word; quotes and brackets hold blanks together ("cdrom:[Debian 12]/").
std::string_view take_word(std::string_view& rest) {
  while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
  std::size_t end = 0;
  for (; end < rest.size() && !is_blank(rest[end]); ++end) {
    if (rest[end] != '"' && rest[end] != '[') continue;
    end = std::min(rest.find(rest[end] == '"' ? '"' : ']', end + 1), rest.size() - 1);
  }
  const auto word = rest.substr(0, end);
  rest.remove_prefix(end);
  return word;
}

bool is_off(std::string_view value) {
  static constexpr std::array<std::string_view, 6> kOff{"no", "false", "without", "off", "disable", "0"};
  return std::ranges::find(kOff, lower(trim(value))) != kOff.end();
}

}  // namespace

void read_apt_list(const ConfigFile& file, SetReader& reader) {
  for (const auto& line : lines_of(file)) {
    std::string_view rest = without_comment(line.text);
    const auto type = take_word(rest);
    if (type.empty()) continue;
    if (type != "deb" && type != "deb-src") {
      reader.complain(line.where(), {"this line begins with neither 'deb' nor 'deb-src'"});
      continue;
    }
    rest = trim(rest);
    if (rest.starts_with('[')) {
      const auto close = rest.find(']');
      if (close == rest.npos) {
        reader.complain(line.where(), {"the bracket of the options is not closed"});
        continue;
      }
      rest.remove_prefix(close + 1);
    }
    std::string uri(take_word(rest));
    std::erase(uri, '"');
    if (uri.empty())
      reader.complain(line.where(), {"this source has no URI"});
    else
      reader.add_url(uri, line.where());
  }
}

void read_apt_stanzas(const ConfigFile& file, SetReader& reader) {
  std::vector<SetLine> uris;
  std::string field;
  bool enabled = true;
  const auto end_stanza = [&] {
    for (const auto& uri : uris)
      if (enabled) reader.add_url(uri.text, uri.where());
    uris.clear();
    field.clear();
    enabled = true;
  };
  for (const auto& line : lines_of(file)) {
    std::string_view value = line.text;
    if (value.empty()) {
      end_stanza();
      continue;
    }
    if (value.front() == '#') continue;
    if (!is_blank(value.front())) {
      const auto colon = value.find(':');
      if (colon == value.npos) {
        reader.complain(line.where(), {"this line is no 'Field: value'"});
        continue;
      }
      field = lower(trim(value.substr(0, colon)));
      value.remove_prefix(colon + 1);
      if (field == "enabled") enabled = !is_off(value);
    }
    if (field != "uris") continue;
    for (const auto word : split_words(value)) uris.push_back({word, line.file, line.number});
  }
  end_stanza();
}

}  // namespace netjail
