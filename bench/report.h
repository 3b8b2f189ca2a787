// Samples, medians and the Markdown table of results.
#pragma once
#include <string>
#include <vector>

namespace netjail::bench {

struct Samples {
  std::vector<double> values;
  void add(double v) { values.push_back(v); }
  double quantile(double q) const;  // 0 when there are none
  double median() const { return quantile(0.5); }
};

enum class Bar { at_most, at_least, none };

// One line of the table. `compared` is what the bar speaks of: value / reference unless said otherwise.
struct Row {
  std::string what;
  std::string value;      // of netjail, with its unit; "–" when there is no netjail to measure
  std::string reference;  // its name and value
  double compared = 0;
  std::string compared_unit;  // "×", "ms", "MiB" …
  Bar bar = Bar::none;
  double limit = 0;
};

class Table {
 public:
  void title(const std::string& text);
  void add(const Row& row);  // prints it at once: a long bench shows what it has
  int missed() const { return missed_; }

 private:
  int missed_ = 0;
};

std::string number(double value, const std::string& unit);
std::string spread(const Samples& samples,
                   const std::string& unit);  // "3.21 ms (2.95…3.60)": median, p10…p90

}  // namespace netjail::bench
