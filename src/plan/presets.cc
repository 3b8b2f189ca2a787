#include "presets.h"

#include <algorithm>
#include <optional>

#include "netjail/base/text.h"

namespace netjail {
namespace {

std::string_view value_of(const Environment& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

// The path in "unix:path=/run/user/1000/bus,guid=..." (D-Bus Specification, Server Addresses); of several
// addresses the first that has one.
std::optional<std::string> bus_path(std::string_view addresses) {
  for (const std::string_view address : split(addresses, ';')) {
    constexpr std::string_view kUnix = "unix:";
    if (!address.starts_with(kUnix)) continue;
    for (const std::string_view part : split(address.substr(kUnix.size()), ','))
      if (part.starts_with("path=/")) return std::string(part.substr(5));
  }
  return std::nullopt;
}

// ":0", ":0.1", "unix:0": the display's number. Nothing for one that is reached by TCP.
std::optional<std::string> display_number(std::string_view display) {
  const auto colon = display.rfind(':');
  if (colon == display.npos) return std::nullopt;
  const std::string_view host = display.substr(0, colon);
  const std::string_view number = display.substr(colon + 1, display.substr(colon + 1).find('.'));
  if ((!host.empty() && host != "unix") || !parse_number(number, 65535)) return std::nullopt;
  return std::string(number);
}

struct Variable {
  std::string_view name;
  std::string_view preset;  // keeps it; empty: none does
};
// What programs take as the address of a server that is not reached by the network, or of a process that they
// may talk to. LISTEN_PID and the like speak of descriptors that the program has not got.
constexpr Variable kVariables[] = {
    {"ALACRITTY_SOCKET", ""},
    {"AT_SPI_BUS_ADDRESS", ""},
    {"CONTAINER_HOST", ""},
    {"DBUS_SESSION_BUS_ADDRESS", "session-bus"},
    {"DBUS_SESSION_BUS_PID", "session-bus"},
    {"DBUS_SESSION_BUS_WINDOWID", "session-bus"},
    {"DBUS_STARTER_ADDRESS", ""},
    {"DBUS_SYSTEM_BUS_ADDRESS", "system-bus"},
    {"DISPLAY", "x11"},
    {"DOCKER_HOST", ""},
    {"EMACS_SOCKET_NAME", ""},
    {"GNOME_KEYRING_CONTROL", ""},
    {"GPG_AGENT_INFO", ""},
    {"HYPRLAND_INSTANCE_SIGNATURE", ""},
    {"I3SOCK", ""},
    {"IBUS_ADDRESS", ""},
    {"ICEAUTHORITY", ""},
    {"JOURNAL_STREAM", ""},
    {"KITTY_LISTEN_ON", ""},
    {"LIBVIRT_DEFAULT_URI", ""},
    {"LISTEN_FDNAMES", ""},
    {"LISTEN_FDS", ""},
    {"LISTEN_PID", ""},
    {"NIRI_SOCKET", ""},
    {"NIX_REMOTE", ""},
    {"NOTIFY_SOCKET", ""},
    {"NVIM", ""},
    {"NVIM_LISTEN_ADDRESS", ""},
    {"PIPEWIRE_REMOTE", "pipewire"},
    {"PIPEWIRE_RUNTIME_DIR", "pipewire"},
    {"PULSE_RUNTIME_PATH", "pulse"},
    {"PULSE_SERVER", "pulse"},
    {"REMOTE_CONTAINERS_IPC", ""},
    {"SESSION_MANAGER", ""},
    {"SSH_AGENT_PID", "ssh-agent"},
    {"SSH_AUTH_SOCK", "ssh-agent"},
    {"STY", ""},
    {"SWAYSOCK", ""},
    {"TMUX", ""},
    {"TMUX_PANE", ""},
    {"VSCODE_GIT_ASKPASS_MAIN", ""},
    {"VSCODE_GIT_IPC_HANDLE", ""},
    {"VSCODE_IPC_HOOK", ""},
    {"VSCODE_IPC_HOOK_CLI", ""},
    {"WATCHDOG_PID", ""},
    {"WATCHDOG_USEC", ""},
    {"WAYLAND_DISPLAY", "wayland"},
    {"WAYLAND_SOCKET", ""},
    {"WEZTERM_UNIX_SOCKET", ""},
    {"XAUTHORITY", "x11"},
};

// An address on the network is for the rules to open or not.
bool is_remote(std::string_view variable, std::string_view value) {
  if (variable == "DISPLAY") return !display_number(value).has_value();
  if (variable == "DOCKER_HOST" || variable == "CONTAINER_HOST")
    return value.starts_with("tcp:") || value.starts_with("ssh:");
  if (variable == "PULSE_SERVER") return value.starts_with("tcp:") || value.starts_with("tcp4:");
  if (variable == "LIBVIRT_DEFAULT_URI")
    return value.find("+ssh:") != value.npos || value.find("+tls:") != value.npos;
  return false;
}

}  // namespace

std::string runtime_folder(const Environment& environment, std::uint32_t uid) {
  const std::string_view set = value_of(environment, "XDG_RUNTIME_DIR");
  return set.starts_with('/') ? std::string(set) : "/run/user/" + std::to_string(uid);
}

Preset find_preset(std::string_view name, const Environment& environment, std::uint32_t uid) {
  const std::string runtime = runtime_folder(environment, uid);
  const auto below_runtime = [&](std::string_view file) {
    return file.starts_with('/') ? std::string(file) : runtime + "/" + std::string(file);
  };
  if (name == "wayland") {
    const std::string_view display = value_of(environment, "WAYLAND_DISPLAY");
    return {{below_runtime(display.empty() ? "wayland-0" : display)}, {}};
  }
  if (name == "x11") {
    Preset preset;
    if (const auto number = display_number(value_of(environment, "DISPLAY")))
      preset.sockets.push_back("/tmp/.X11-unix/X" + *number);
    if (const std::string_view cookies = value_of(environment, "XAUTHORITY"); cookies.starts_with('/'))
      preset.files.emplace_back(cookies);
    return preset;
  }
  if (name == "pulse") {
    std::string_view server = value_of(environment, "PULSE_SERVER");
    if (server.starts_with('{')) server = server.substr(std::min(server.find('}') + 1, server.size()));
    if (server.starts_with("unix:")) server.remove_prefix(5);
    return {{server.starts_with('/') ? std::string(server) : below_runtime("pulse/native")}, {}};
  }
  if (name == "pipewire") {
    const std::string_view remote = value_of(environment, "PIPEWIRE_REMOTE");
    return {{below_runtime(remote.empty() ? "pipewire-0" : remote)}, {}};
  }
  if (name == "session-bus")
    return {{bus_path(value_of(environment, "DBUS_SESSION_BUS_ADDRESS")).value_or(runtime + "/bus")}, {}};
  if (name == "system-bus")
    return {
        {bus_path(value_of(environment, "DBUS_SYSTEM_BUS_ADDRESS")).value_or("/run/dbus/system_bus_socket")},
        {}};
  if (name == "ssh-agent")
    if (const std::string_view agent = value_of(environment, "SSH_AUTH_SOCK"); agent.starts_with('/'))
      return {{std::string(agent)}, {}};
  return {};
}

bool leads_outside(std::string_view variable, std::string_view value, const std::vector<std::string>& presets,
                   const std::vector<std::string>& sockets) {
  const auto* const known = std::ranges::find(kVariables, variable, &Variable::name);
  if (known == std::end(kVariables) || is_remote(variable, value)) return false;
  if (!known->preset.empty() && std::ranges::find(presets, known->preset) != presets.end()) return false;
  return std::ranges::none_of(sockets,
                              [&](const std::string& socket) { return value.find(socket) != value.npos; });
}

}  // namespace netjail
