// Any octets as a pattern of names, and as a name on the wire.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "netjail/base/text.h"
#include "netjail/net/name.h"
#include "require.h"

using namespace netjail;

namespace {

const PublicSuffixes& list() {
  static const PublicSuffixes builtin = PublicSuffixes::builtin();
  return builtin;
}

void check_name(const Name& name) {
  require(!name.text.empty() && name.text.size() <= kMaxName, "a name has its length");
  for (const auto label : split(name.text, '.')) {
    require(!label.empty() && label.size() <= kMaxLabel, "a label has its length");
    for (const char c : label)
      require((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_',
              "a label has its letters");
  }
}

void check_pattern(std::string_view text, const NamePattern& pattern) {
  check_name(pattern.name);
  require(pattern.below == (text.find('*') != text.npos), "what has no '*' is one name");
  require(parse_name_pattern(to_string(pattern), list()) == pattern, "a pattern is what it is printed as");
  require(parse_name_pattern(to_unicode(pattern), list()) == pattern, "a pattern is what people are shown");
  require(!pattern.below || !list().contains(pattern.name), "no '*' below a public suffix");
  const Name below{"a." + pattern.name.text};
  require(matches(pattern, pattern.name) == !pattern.below, "the name itself");
  require(matches(pattern, below) == pattern.below, "a name below it");
  const NamePattern patterns[] = {pattern, {pattern.name, !pattern.below}};
  const NameSet set(patterns);
  require(set.find(below).size() == 1 && set.find(pattern.name).size() == 1,
          "a set finds the one that matches");
}

void check_error(std::string_view text, const NameError& error) {
  require(!error.what.empty(), "a mistake has words");
  require(error.offset <= text.size() && error.length <= text.size() - error.offset, "a mistake has a place");
  require(error.what.size() < 512, "a message is short");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto pattern = parse_name_pattern(text, list()))
    check_pattern(text, *pattern);
  else
    check_error(text, pattern.error());
  const PublicSuffixes none;
  if (const auto pattern = parse_name_pattern(text, none)) require(!pattern->below, "a '*' needs a list");

  if (const auto name = parse_wire_name({data, size})) {
    check_name(*name);
    require(size == name->text.size() + 2, "a name is as long as on the wire");
    require(!to_unicode(*name).empty(), "a name can be shown");
  }
  return 0;
}
