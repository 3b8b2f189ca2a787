// Every operation is one sweep over sorted ranges: a set of 100,000 ranges (a country list) costs a sort, no
// more.
#include <algorithm>

#include "netjail/net/ip.h"

namespace netjail {
namespace {

// True when `range` begins within `before` or right behind it: the two are one range then. Needs before.first
// <= range.first.
bool joins(const AddressRange& before, const AddressRange& range) {
  if (range.first <= before.last) return true;
  const auto behind = next(before.last);
  return behind && *behind == range.first;
}

// Joins ranges that are sorted by their first address.
std::vector<AddressRange> joined(const std::vector<AddressRange>& sorted) {
  std::vector<AddressRange> result;
  result.reserve(sorted.size());
  for (const auto& range : sorted) {
    if (result.empty() || !joins(result.back(), range)) {
      result.push_back(range);
    } else if (result.back().last < range.last) {
      result.back().last = range.last;
    }
  }
  return result;
}

}  // namespace

AddressSet::AddressSet(std::vector<AddressRange> ranges) {
  if (!std::ranges::is_sorted(ranges)) std::ranges::sort(ranges);
  ranges_ = joined(ranges);
}

AddressSet AddressSet::everything() {
  std::vector<AddressRange> ranges;
  for (const Family family : kFamilies) ranges.push_back(range_of(make_prefix(Ip{family, {}}, 0)));
  return AddressSet(std::move(ranges));
}

bool AddressSet::contains(const Ip& ip) const {
  const auto after = std::ranges::upper_bound(ranges_, ip, {}, &AddressRange::first);
  return after != ranges_.begin() && ip <= std::prev(after)->last;
}

std::vector<AddressRange> AddressSet::ranges(Family family) const {
  // Sorted by family first, so one family is one run.
  const auto of_family = [](const AddressRange& range) { return range.first.family; };
  const auto run = std::ranges::equal_range(ranges_, family, {}, of_family);
  return {run.begin(), run.end()};
}

AddressSet AddressSet::united(const AddressSet& other) const {
  std::vector<AddressRange> merged;
  merged.reserve(ranges_.size() + other.ranges_.size());
  std::ranges::merge(ranges_, other.ranges_, std::back_inserter(merged));
  AddressSet result;
  result.ranges_ = joined(merged);
  return result;
}

AddressSet AddressSet::without(const AddressSet& other) const {
  AddressSet result;
  auto hole = other.ranges_.begin();
  for (const auto& range : ranges_) {
    // What ends before this range begins cannot touch a later one either.
    while (hole != other.ranges_.end() && hole->last < range.first) ++hole;
    std::optional<Ip> start = range.first;
    for (auto cut = hole; start && cut != other.ranges_.end() && cut->first <= range.last; ++cut) {
      if (*start < cut->first) result.ranges_.push_back({*start, *previous(cut->first)});
      start = cut->last < range.last ? next(cut->last) : std::nullopt;
      if (start) hole = cut;
    }
    if (start) result.ranges_.push_back({*start, range.last});
  }
  return result;
}

AddressSet AddressSet::intersected(const AddressSet& other) const {
  AddressSet result;
  auto mine = ranges_.begin();
  auto theirs = other.ranges_.begin();
  while (mine != ranges_.end() && theirs != other.ranges_.end()) {
    const Ip& first = std::max(mine->first, theirs->first);
    const Ip& last = std::min(mine->last, theirs->last);
    if (first <= last) result.ranges_.push_back({first, last});
    // The one that ends first is used up.
    if (mine->last < theirs->last) {
      ++mine;
    } else {
      ++theirs;
    }
  }
  return result;
}

}  // namespace netjail
