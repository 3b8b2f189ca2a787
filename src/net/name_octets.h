// What the labels of a Name are made of.
#pragma once

#include <string_view>

namespace netjail {

inline constexpr std::string_view kAcePrefix = "xn--";  // RFC 5890 2.3.2.5

constexpr bool is_name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace netjail
