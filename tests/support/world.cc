#include "world.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

namespace netjail::test {
namespace {

std::atomic<int> g_worlds = 0;

const std::vector<Listener> kPublicListeners{
    {.serve = Serve::tcp_echo, .port = 7},    {.serve = Serve::tcp_echo, .port = 22},
    {.serve = Serve::tcp_echo, .port = 443},  {.serve = Serve::tcp_echo, .port = 853},
    {.serve = Serve::tcp_echo, .port = 5432}, {.serve = Serve::http, .port = 80},
    {.serve = Serve::http, .port = 8080},     {.serve = Serve::tcp_dns, .port = 53},
    {.serve = Serve::udp_echo, .port = 7},    {.serve = Serve::udp_echo, .port = 123},
    {.serve = Serve::udp_echo, .port = 443},  {.serve = Serve::udp_dns, .port = 53}};

const std::vector<Listener> kHostListeners{{.serve = Serve::tcp_echo, .port = 22},
                                           {.serve = Serve::tcp_echo, .port = 443},
                                           {.serve = Serve::http, .port = 80},
                                           {.serve = Serve::udp_echo, .port = 7},
                                           {.serve = Serve::tcp_echo, .port = 5432, .address = "127.0.0.1"},
                                           {.serve = Serve::http, .port = 8080, .address = "127.0.0.1"},
                                           {.serve = Serve::udp_echo, .port = 123, .address = "127.0.0.1"}};
// Apart: they need an IPv6 loopback, or an address of the systemd-resolved kind.
const std::vector<Listener> kHostListeners6{{.serve = Serve::tcp_echo, .port = 5433, .address = "::1"}};
const std::vector<Listener> kHostResolver{{.serve = Serve::udp_dns, .port = 53, .address = "127.0.0.53"},
                                          {.serve = Serve::tcp_dns, .port = 53, .address = "127.0.0.53"}};

std::string add_addresses(const std::string& link, const std::vector<std::string>& addresses) {
  std::string lines;
  for (const auto& address : addresses) {
    const bool v6 = address.find(':') != std::string::npos;
    lines += "addr add " + address + " dev " + link + (v6 ? " nodad\n" : "\n");
  }
  return lines;
}

Status mount_at(const char* source, const char* target, const char* type, unsigned long flags,
                const char* data) {
  if (::mount(source, target, type, flags, data) != 0)
    return fail_errno(std::string("cannot mount ") + target);
  return {};
}

Status create_file(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("cannot create " + path);
  return write_all(fd.get(), text);
}

}  // namespace

FakeWorld::FakeWorld(NetworkNamespace host, NetworkNamespace internet, NetworkNamespace lan, Servers servers)
    : host_(std::move(host)),
      internet_(std::move(internet)),
      lan_(std::move(lan)),
      servers_(std::move(servers)) {
  ++g_worlds;
}

Result<FakeWorld> FakeWorld::create(const WorldOptions& options) {
  NJ_TRY_AS(NetworkNamespace host, NetworkNamespace::create());
  NJ_TRY_AS(NetworkNamespace internet, NetworkNamespace::create());
  NJ_TRY_AS(NetworkNamespace lan, NetworkNamespace::create());
  NJ_TRY_AS(Servers servers, Servers::create());
  FakeWorld world(std::move(host), std::move(internet), std::move(lan), std::move(servers));
  NJ_TRY(world.build(options));
  return world;
}

Status FakeWorld::build(const WorldOptions& options) {
  char folder[] = "/tmp/netjail-world-XXXXXX";
  if (::mkdtemp(folder) == nullptr) return fail_errno("cannot make a folder");
  directory_ = folder;
  // Other users run commands in the world too.
  if (::chmod(folder, 0755) != 0) return fail_errno("cannot open the folder to others");
  // The shipped profiles, wherever the binary was built; and no profile of whoever runs the tests.
  std::error_code error;
  std::filesystem::create_directories(directory_ + "/config/netjail", error);
  std::filesystem::copy(NETJAIL_SOURCE_DIR "/profiles", directory_ + "/config/netjail/profiles", error);
  if (error) return fail("cannot lay out the profiles: " + error.message());
  NJ_TRY(add_links(options));
  NJ_TRY(mount_host(options));
  NJ_TRY(serve(options));
  if (!options.ruleset.empty()) {
    NJ_TRY_AS(const Outcome nft, test::run(host(), {.argv = {"nft", "-f", "-"}, .input = options.ruleset}));
    if (!nft.ok()) return fail("cannot load the host's ruleset: " + nft.err);
  }
  NJ_TRY_AS(untouched_, Snapshot::take(host()));
  return {};
}

Status FakeWorld::add_links(const WorldOptions& options) {
  // The two ends of a pair have different indices, on purpose: where they are equal the kernel takes the end
  // for no part of a pair and reports its carrier to IPv6 at leisure, up to a second late
  // (linkwatch_urgent_event; measured on 6.18).
  std::string host = "link add eth0 index 102 type veth peer name eth0 netns " + internet_.path() +
                     "\nlink add eth1 index 103 type veth peer name eth0 netns " + lan_.path() + "\n";
  std::string internet, lan, routes;
  if (options.ipv4) {
    host += add_addresses("eth0", {"198.51.100.2/24"});
    host += add_addresses("eth1", {"192.168.77.2/24", "10.77.0.2/24", "172.16.77.2/24"});
    internet += add_addresses("eth0", {"198.51.100.1/24", "198.51.100.10/24", "198.51.100.11/24",
                                       "198.51.100.53/24", "203.0.113.10/32", "203.0.113.11/32"});
    lan += add_addresses("eth0", {"192.168.77.1/24", "192.168.77.10/24", "192.168.77.53/24", "10.77.0.10/24",
                                  "172.16.77.10/24", "100.64.77.10/32", "169.254.169.254/32"});
    routes += "route add 100.64.77.10 via 192.168.77.1\nroute add 169.254.169.254 via 192.168.77.1\n";
    if (options.default_route) routes += "route add default via 198.51.100.1\n";
    if (options.private_routes)
      routes += "route add 10.0.0.0/8 via 192.168.77.1\nroute add 172.16.0.0/12 via 192.168.77.1\n";
  }
  if (options.ipv6) {
    host += add_addresses("eth0", {"2001:db8:1::2/64"}) + add_addresses("eth1", {"fd77::2/64"});
    internet += add_addresses("eth0", {"2001:db8:1::1/64", "2001:db8:1::10/64", "2001:db8:1::11/64",
                                       "2001:db8:1::53/64", "2001:db8:2::10/128", "2001:db8:2::11/128"});
    lan += add_addresses("eth0", {"fd77::1/64", "fd77::10/64"});
    if (options.default_route) routes += "route add default via 2001:db8:1::1\n";
  } else {
    for (const auto* place : {&host_, &internet_, &lan_})
      NJ_TRY(in_place(place->place(),
                      [] { return write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"); }));
  }
  NJ_TRY(ip_batch(host_.place(), host + "link set eth0 up\nlink set eth1 up\n"));
  NJ_TRY(ip_batch(internet_.place(), internet + "link set eth0 up\n"));
  NJ_TRY(ip_batch(lan_.place(), lan + "link set eth0 up\n"));
  if (!routes.empty()) NJ_TRY(ip_batch(host_.place(), routes));
  if (!options.ipv6) return {};
  for (const char* link : {"eth0", "eth1"}) NJ_TRY(wait_for_ipv6(host_.place(), link));
  for (const auto* place : {&internet_, &lan_}) NJ_TRY(wait_for_ipv6(place->place(), "eth0"));
  return {};
}

Status FakeWorld::mount_host(const WorldOptions& options) {
  auto nameservers = options.nameservers;
  if (nameservers.empty()) nameservers.push_back(options.ipv4 ? "198.51.100.53" : "2001:db8:1::53");
  std::string resolv_conf;
  for (const auto& server : nameservers) resolv_conf += "nameserver " + server + "\n";
  const std::string source = write("resolv.conf", resolv_conf);
  const auto mount_all = [&]() -> Status {
    // Where /etc/resolv.conf is a link into /run, its target has to exist under the new /run.
    std::error_code error;
    const auto target = std::filesystem::weakly_canonical("/etc/resolv.conf", error);
    NJ_TRY(mount_at("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
    NJ_TRY(mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
    NJ_TRY(mount_at("srv", "/srv", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
    NJ_TRY(create_file(kProbe, ""));
    NJ_TRY(mount_at(NETJAIL_PROBE, kProbe, nullptr, MS_BIND, nullptr));
    NJ_TRY(create_file(kNetjail, ""));
    NJ_TRY(mount_at(NETJAIL_BINARY, kNetjail, nullptr, MS_BIND, nullptr));
    // As udev makes it; a machine without udev may have it for root alone.
    NJ_TRY(mount_at("net", "/dev/net", "tmpfs", MS_NOSUID, "mode=755"));
    if (::mknod("/dev/net/tun", S_IFCHR, makedev(10, 200)) != 0 || ::chmod("/dev/net/tun", 0666) != 0)
      return fail_errno("cannot make /dev/net/tun");
    std::filesystem::create_directories(target.parent_path(), error);
    if (!std::filesystem::exists(target, error)) NJ_TRY(create_file(target, ""));
    return mount_at(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr);
  };
  NJ_TRY_AS(mount_, create_mount_namespace(host_.fd(), mount_all));
  return {};
}

Status FakeWorld::serve(const WorldOptions& options) {
  NJ_TRY(servers_.open("internet", internet_.place(), kPublicListeners));
  NJ_TRY(servers_.open("lan", lan_.place(), kPublicListeners));
  auto listeners = kHostListeners;
  if (options.ipv6) listeners.insert(listeners.end(), kHostListeners6.begin(), kHostListeners6.end());
  listeners.insert(listeners.end(), kHostResolver.begin(), kHostResolver.end());
  NJ_TRY(servers_.open("host", host_.place(), listeners));
  if (!options.watch) return {};
  NJ_TRY(servers_.watch("internet", internet_.place(), "eth0"));
  return servers_.watch("lan", lan_.place(), "eth0");
}

FakeWorld::~FakeWorld() {
  if (host_.fd() < 0) return;  // moved from
  // The last world takes everything that is left of our descendants, jailed processes included: what outlives
  // the test would go on for ever. One of several takes only what runs in its own namespaces.
  const bool last = --g_worlds == 0;
  std::vector<pid_t> leftover;
  for (const pid_t pid : descendants()) {
    std::error_code error;
    const auto network =
        std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/ns/net", error).string();
    if (last || network == host_.id() || network == internet_.id() || network == lan_.id())
      leftover.push_back(pid);
  }
  kill_all(leftover);
  std::error_code error;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, error);
}

Command FakeWorld::here(Command command) const {
  command.environment.try_emplace("XDG_CONFIG_HOME", directory_ + "/config");
  if (rootless() && !command.identity) command.identity = Identity{kOrdinaryUser, kOrdinaryUser, {}};
  return command;
}

Outcome FakeWorld::run(const Command& command) const {
  const auto outcome = test::run(host(), here(command));
  if (!outcome) FAIL(render_error(outcome.error()));
  return *outcome;
}

Process FakeWorld::start(const Command& command) const {
  auto process = Process::start(host(), here(command));
  if (!process) FAIL(render_error(process.error()));
  return std::move(*process);
}

Outcome FakeWorld::call(std::vector<std::string> argv) const {
  return run({.argv = std::move(argv), .identity = Identity{}});
}

Outcome FakeWorld::probe(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), kProbe);
  return call(std::move(arguments));
}

Outcome FakeWorld::netjail(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), "run");
  return run({.argv = netjail_command(std::move(arguments))});
}

std::string FakeWorld::write(const std::string& name, const std::string& text) const {
  const std::string path = directory_ + "/" + name;
  if (const auto status = create_file(path, text); !status) FAIL(render_error(status.error()));
  if (rootless() && ::chown(path.c_str(), kOrdinaryUser, kOrdinaryUser) != 0) FAIL("cannot give " << path);
  return path;
}

std::vector<std::string> netjail_command(std::vector<std::string> arguments) {
  // The build folder may be closed to other users.
  arguments.insert(arguments.begin(), rootless() ? kNetjail : NETJAIL_BINARY);
  return arguments;
}

bool rootless() { return std::getenv("NETJAIL_TEST_ROOTLESS") != nullptr; }

}  // namespace netjail::test
