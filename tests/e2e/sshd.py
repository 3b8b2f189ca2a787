"""sshd.py FOLDER: OpenSSH's server on port 2222, for root with the key FOLDER/key, which is made here."""
import os, shutil, socket, subprocess, sys, time

folder = sys.argv[1]
os.makedirs(folder)
for name in ("host", "key"):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(folder, name)], check=True)
shutil.copy(os.path.join(folder, "key.pub"), os.path.join(folder, "authorized"))
with open(os.path.join(folder, "config"), "w") as config:
    config.write(f"""Port 2222
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PidFile none
PermitRootLogin prohibit-password
""")
# A /run of its own, for the folder that sshd wants there.
server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-ec", "mount -t tmpfs tmpfs /run; mkdir /run/sshd; exec "
                           f"/usr/sbin/sshd -D -e -f {folder}/config"])
for _ in range(200):
    try:
        socket.create_connection(("127.0.0.1", 2222), 1).close()
        break
    except OSError:
        time.sleep(0.05)
print("ready")
server.wait()
