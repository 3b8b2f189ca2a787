#include "world.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace netjail::bench {
namespace {

namespace fs = std::filesystem;

// A folder that exists everywhere and that no jail hides, covered in our own mount namespace.
constexpr const char* kFolder = "/srv";

void must(bool ok, const std::string& what) {
  if (!ok) fail(what + ": " + std::strerror(errno));
}

int new_netns() {
  must(::unshare(CLONE_NEWNET) == 0, "cannot make a network namespace (root is needed)");
  const int fd = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  must(fd >= 0, "/proc/self/ns/net");
  return fd;
}

void mount_own_files() {
  must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mount private");
  must(::mount("proc", "/proc", "proc", 0, nullptr) == 0, "mount /proc");
  // The resolver's file may be a link into /run: read where it leads before /run is covered.
  std::error_code none;
  const fs::path resolv = fs::weakly_canonical("/etc/resolv.conf", none);
  must(::mount("bench", "/run", "tmpfs", 0, "mode=755") == 0, "mount /run");
  must(::mount("bench", kFolder, "tmpfs", 0, "mode=755") == 0, std::string("mount ") + kFolder);
  must(::mount("bench", "/dev/net", "tmpfs", 0, "mode=755") == 0, "mount /dev/net");
  must(::mknod("/dev/net/tun", S_IFCHR, makedev(10, 200)) == 0 && ::chmod("/dev/net/tun", 0666) == 0,
       "/dev/net/tun");
  fs::create_directories(resolv.parent_path());
  if (!fs::exists(resolv)) std::ofstream(resolv) << "";
  const std::string ours = std::string(kFolder) + "/resolv.conf";
  std::ofstream(ours) << "nameserver 198.51.100.53\n";
  must(::mount(ours.c_str(), resolv.c_str(), nullptr, MS_BIND, nullptr) == 0, "bind resolv.conf");
}

// Kills the world with SIGKILL: no handler in it is needed for a clean end.
pid_t world_pid = -1;
void end_world(int) { ::kill(world_pid, SIGKILL); }

}  // namespace

Command World::tool(const std::string& name, Command arguments) const {
  arguments.insert(arguments.begin(), folder + "/" + name);
  return arguments;
}

Command World::jail(const std::string& profile, const Command& program) const {
  Command command = {netjail, "run", "--profile", folder + "/" + profile, "--"};
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

Command World::floor(const Command& program) const { return tool("floor", program); }

int in_own_world(int (*work)(void*), void* argument) {
  must(::unshare(CLONE_NEWNS | CLONE_NEWPID) == 0, "cannot make namespaces (root is needed)");
  world_pid = ::fork();
  must(world_pid >= 0, "fork");
  if (world_pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    mount_own_files();
    std::exit(work(argument));
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, end_world);
  int status = 0;
  while (::waitpid(world_pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

World make_world(const std::string& netjail, const std::string& tools) {
  World world;
  world.folder = kFolder;
  if (!netjail.empty()) {
    world.netjail = world.folder + "/netjail";  // where every user can reach it
    fs::copy_file(netjail, world.netjail);
  }
  for (const char* name : {"floor", "stamp", "hold", "traffic", "dns", "work", "script-jail.sh"})
    fs::copy_file(fs::path(tools) / name, fs::path(world.folder) / name);

  world.server = new_netns();
  world.host = new_netns();
  must(::mount("sysfs", "/sys", "sysfs", 0, nullptr) == 0, "mount /sys");  // of the netns that plays the host
  shell(world.host, fmt::format(R"(
    PATH=$PATH:/usr/sbin:/sbin
    ip link set lo up
    ip link add up0 type veth peer name eth0 netns /proc/{}/fd/{}
    ip addr add 198.51.100.1/24 dev up0
    ip addr add 2001:db8:1::1/64 dev up0 nodad
    ip link set up0 up
    ip route add default via {})",
                                ::getpid(), world.server, kServer));
  shell(world.server, fmt::format(R"(
    PATH=$PATH:/usr/sbin:/sbin
    ip link set lo up
    ip addr add {}/24 dev eth0
    ip addr add 2001:db8:1::2/64 dev eth0 nodad
    ip link set eth0 up
    ip route add default via 198.51.100.1
    nft 'table inet bench {{ chain hole {{ type filter hook prerouting priority raw;
           udp dport {}-{} drop; }}
         }}')",
                                  kServer, kFreshPort, 65535));
  shell(world.host, "PATH=$PATH:/usr/sbin:/sbin; ip route get 198.51.100.2 >/dev/null");
  return world;
}

std::string write_profile(const World& world, const std::string& name, const std::string& text) {
  std::ofstream(world.folder + "/" + name) << text;
  return name;
}

void settle(std::size_t live_jails) {
  // lo and up0 stay, and the links of the references (named ref*).
  const std::int64_t deadline = now() + 60'000'000'000;
  for (;;) {
    std::size_t count = 0;
    struct if_nameindex* links = ::if_nameindex();
    for (auto* link = links; link != nullptr && link->if_index != 0; link++) {
      const std::string name = link->if_name;
      count += name != "lo" && name != "up0" && !name.starts_with("ref");
    }
    ::if_freenameindex(links);
    if (count <= live_jails) break;
    if (now() > deadline) fail(fmt::format("{} links are left in the host", count - live_jails));
    ::usleep(2000);
  }
  ::usleep(20000);
}

void wait_for_untouched_host(const World& world) {
  shell(world.host, R"sh(
    PATH=$PATH:/usr/sbin:/sbin
    for i in $(seq 200); do
      left="$(nft list tables)$(cat /proc/sys/net/ipv4/conf/up0/forwarding)"
      [ "$left" = 0 ] && exit 0
      sleep 0.1
    done
    echo "left in the host: $left" >&2
    exit 1)sh");
}

}  // namespace netjail::bench
