#include <algorithm>
#include <string>

#include "netjail/base/text.h"
#include "netjail/profile/profile.h"

namespace netjail {

std::string render_diagnostics(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const auto& diagnostic : diagnostics) {
    const std::string number = std::to_string(diagnostic.where.line);
    out += printable(diagnostic.where.file) + ':' + number + ':' + std::to_string(diagnostic.where.column) +
           ": error: " + printable(diagnostic.message) + '\n';
    if (!diagnostic.source_line.empty()) {
      const std::string gutter(std::max<std::size_t>(5, number.size()), ' ');
      out += gutter.substr(number.size()) + number + " | " + printable(diagnostic.source_line) + '\n';
      out += gutter + " | " + std::string(diagnostic.caret, ' ') + '^' +
             std::string(std::max(diagnostic.width, 1u) - 1, '~') + '\n';
    }
    if (!diagnostic.suggestion.empty()) out += "help: " + printable(diagnostic.suggestion) + '\n';
  }
  return out;
}

}  // namespace netjail
