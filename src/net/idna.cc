#include "idna.h"

#include <idn2.h>

#include <algorithm>
#include <memory>

#include "name_octets.h"

namespace netjail {
namespace {

// Not IDN2_USE_STD3_ASCII_RULES: libidn2 2.3.3 then leaves out what it should refuse ("a\u2100b" comes out as
// "ab").
constexpr int kFlags = IDN2_NONTRANSITIONAL;

Label take(int status, char* output) {
  const std::unique_ptr<char, decltype(&idn2_free)> owned(output, idn2_free);
  if (status != IDN2_OK) return std::unexpected(idn2_strerror(status));
  return owned.get();
}

}  // namespace

Label to_a_label(std::string_view label) {
  char* output = nullptr;
  const int status = idn2_to_ascii_8z(std::string(label).c_str(), &output, kFlags);
  return take(status, output);
}

Label to_u_label(std::string_view a_label) {
  char* output = nullptr;
  const int status = idn2_to_unicode_8z8z(std::string(a_label).c_str(), &output, kFlags);
  auto label = take(status, output);
  if (!label) return label;
  // RFC 5892 2.2: of ASCII, a U-label has these alone.
  if (!std::ranges::all_of(*label, [](char c) { return (c & 0x80) != 0 || (is_name_letter(c) && c != '_'); }))
    return std::unexpected("it stands for '" + *label + "'");
  const auto again = to_a_label(*label);
  if (!again) return std::unexpected(again.error());
  if (*again != a_label) return std::unexpected("it stands for what is written '" + *again + "'");
  return label;
}

}  // namespace netjail
