// The one place that includes nlohmann-json. Keys keep the order in which they were put.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace netjail {

using Json = nlohmann::ordered_json;

// One line; octets that are not UTF-8 become U+FFFD instead of an exception.
inline std::string to_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace netjail
