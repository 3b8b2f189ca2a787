// International labels (IDNA 2008), one label at a time. The one place of libidn2.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace netjail {

// An error is the reason in words: "string contains a disallowed character".
using Label = std::expected<std::string, std::string>;

// The label's form in DNS: UTS 46, nontransitional, then IDNA 2008. A label that maps to ASCII comes out as
// that. Needs a label without NUL. The result is not checked further: not for octets, not for length.
Label to_a_label(std::string_view label);
// Of "xn--..." in small letters, provided that it is what its U-label gives.
Label to_u_label(std::string_view a_label);

}  // namespace netjail
