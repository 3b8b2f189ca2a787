// The one place that includes fmt: std::format is not in g++ 12.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
