#include "mount_table.h"

#include <doctest/doctest.h>

using namespace netjail;

namespace {

constexpr const char* kTable =
    "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "30 22 0:25 / /run rw,nosuid - tmpfs tmpfs rw\n"
    "40 22 254:0 /home/u /mnt/my\\040home rw - ext4 /dev/vda rw\n"
    "41 22 254:0 /home /srv/all rw - ext4 /dev/vda rw\n"
    "42 41 0:30 / /srv/all/u rw - tmpfs tmpfs rw\n"
    "broken\n";

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("mountinfo is read, escapes included") {
  const auto table = parse_mount_table(kTable);
  REQUIRE(table.size() == 5);
  CHECK(table[2] == MountEntry{40, 22, "254:0", "/home/u", "/mnt/my home", "ext4"});
}

TEST_CASE("a file is found wherever a mount shows it, and not below what covers it") {
  const auto table = parse_mount_table(kTable);
  CHECK(find_aliases(table, "/home/u/s") == Paths{"/home/u/s", "/mnt/my home/s"});
  CHECK(find_aliases(table, "/home/v/s") == Paths{"/home/v/s", "/srv/all/v/s"});
  CHECK(find_aliases(table, "/mnt/my home/s") == Paths{"/mnt/my home/s", "/home/u/s"});
  CHECK(find_aliases(table, "/run/s") == Paths{"/run/s"});
  CHECK(find_aliases(table, "/srv/all/u/s") == Paths{"/srv/all/u/s"});
}

TEST_CASE("what a later mount hides is no path to a file") {
  const auto table = parse_mount_table(
      "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
      "40 22 254:0 /srv /mnt/a/b rw - ext4 /dev/vda rw\n"
      "41 22 0:30 / /mnt/a rw - tmpfs tmpfs rw\n"
      "42 41 254:0 /srv /mnt/a/c rw - ext4 /dev/vda rw\n");
  CHECK(find_aliases(table, "/srv/s") == Paths{"/srv/s", "/mnt/a/c/s"});
}

TEST_CASE("a mount lies on its parent, however old it is") {
  // The root came after /run and /old, which was moved to /new/m.
  const auto table = parse_mount_table(
      "20 25 0:20 / /run rw - tmpfs tmpfs rw\n"
      "21 26 0:21 / /new/m rw - tmpfs tmpfs rw\n"
      "25 1 254:0 / / rw - ext4 /dev/vda rw\n"
      "26 25 0:22 / /new rw - tmpfs tmpfs rw\n"
      "27 26 0:23 / /new rw - tmpfs tmpfs rw\n");
  CHECK(find_place(table, "/run/s") == FilePlace{"0:20", "/s"});
  CHECK(find_place(table, "/etc") == FilePlace{"254:0", "/etc"});
  // What lies on the whole of its parent hides what else lies on it.
  CHECK(find_place(table, "/new/m/s") == FilePlace{"0:23", "/m/s"});
}

TEST_CASE("a file has one place, wherever a mount shows it") {
  const auto table = parse_mount_table(kTable);
  const FilePlace place{"254:0", "/home/u/s"};
  CHECK(find_place(table, "/home/u/s") == place);
  CHECK(find_place(table, "/mnt/my home/s") == place);
  CHECK(find_place(table, "/srv/all/u/s") != place);
  CHECK(!find_place({}, "/home/u/s"));
  CHECK(find_aliases(table, "/run") == Paths{"/run"});
  CHECK(find_aliases(table, "/home") == Paths{"/home", "/srv/all"});
}
