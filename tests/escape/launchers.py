"""The launchers that are known by name; any other command prefix is one too."""
import dataclasses
import os
import shlex
import shutil

import world

NETJAIL = f"{world.BASE}/bin/netjail"
ALLOW = ["--allow", "198.51.100.10:443/tcp"]


@dataclasses.dataclass
class Launcher:
    name: str
    prefix: list
    caller: int  # user id of whoever calls it
    inside: int  # of the program
    controls: bool = False  # whether the controls have to work
    bare: bool = False
    keep: str = ""  # its option that passes a descriptor on
    refusal: int = None  # exit status with which it refuses to start the program, where that is known

    def missing(self):
        """What is not installed."""
        return [word for word in self.prefix[:1] if shutil.which(word) is None and not os.path.exists(word)]


def make_launcher(name, user):
    """user: "root", "ordinary" or None for what is usual with it."""
    uid = {"root": 0, "ordinary": world.USER}
    plain = uid[user or "ordinary"]
    match name:
        case "netjail":
            inside = uid[user or "root"]
            return Launcher(name, [NETJAIL, "run", "--user", str(inside) if inside else "root", *ALLOW, "--"], 0, inside,
                            controls=True, keep="--keep-fd", refusal=125)
        case "netjail-rootless":
            return Launcher(name, [NETJAIL, "run", *ALLOW, "--"], world.USER, world.USER, controls=True,
                            keep="--keep-fd", refusal=125)
        case "bare":
            return Launcher(name, [], plain, plain, controls=True, bare=True)
        case "bwrap":
            return Launcher(name, "bwrap --unshare-all --dev-bind / / --proc /proc".split(), plain, plain)
        case "firejail":
            return Launcher(name, "firejail --quiet --noprofile --net=none".split(), plain, plain)
        case "unshare":
            return Launcher(name, ["unshare", "-n" if plain == 0 else "-Urn"], plain, plain)
    return Launcher(name, shlex.split(name), plain, plain)
