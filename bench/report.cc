#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace netjail::bench {

double Samples::quantile(double q) const {
  if (values.empty()) return 0;
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(q * last + 0.5)];
}

std::string number(double value, const std::string& unit) {
  const double size = value < 0 ? -value : value;
  const int digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return fmt::format("{:.{}f} {}", value, digits, unit);
}

std::string spread(const Samples& samples, const std::string& unit) {
  if (samples.values.empty()) return "–";
  return fmt::format("{} ({:.3g}…{:.3g})", number(samples.median(), unit), samples.quantile(0.1),
                     samples.quantile(0.9));
}

void Table::title(const std::string& text) {
  fmt::print("\n### {}\n\n| measure | netjail | reference | compared | bar | |\n|---|---|---|---|---|---|\n",
             text);
  std::fflush(stdout);
}

void Table::add(const Row& row) {
  const bool measured = row.value != "–" && row.bar != Bar::none;
  const bool met = row.bar == Bar::at_most ? row.compared <= row.limit : row.compared >= row.limit;
  if (measured && !met) missed_++;
  fmt::print("| {} | {} | {} | {} | {} | {} |\n", row.what, row.value, row.reference,
             row.value == "–" || row.compared_unit.empty() ? "" : number(row.compared, row.compared_unit),
             row.bar == Bar::none ? ""
                                  : fmt::format("{} {:g} {}", row.bar == Bar::at_most ? "≤" : "≥", row.limit,
                                                row.compared_unit),
             !measured ? ""
             : met     ? "met"
                       : "**missed**");
  std::fflush(stdout);
}

}  // namespace netjail::bench
