"""forge.py TREE CERTIFICATE: the servers that real clients talk to in the tests.

The folder TREE over http (80, 4873) and, with the certificate and key of the file CERTIFICATE, https (443); on
port 22 what an SSH client says first. Each request is a line of output. Before it serves, the tree is filled
with one package for each of npm, pip and apt, made here, and a git repository.
"""
import base64, functools, hashlib, http.server, io, json, os, shutil, socket, socketserver, ssl, subprocess, sys
import tarfile, threading, zipfile

tree, certificate = sys.argv[1:3]


def write(path, data):
    path = os.path.join(tree, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def make_npm():
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        text = json.dumps({"name": "forged", "version": "1.0.0"}).encode()
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    data = memory.getvalue()
    write("npm/forged-1.0.0.tgz", data)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    tarball = "http://registry.forge.test:4873/npm/forged-1.0.0.tgz"
    version = {"name": "forged", "version": "1.0.0", "dist": {"tarball": tarball, "integrity": integrity}}
    write("npm/forged", json.dumps({"name": "forged", "dist-tags": {"latest": "1.0.0"},
                                    "versions": {"1.0.0": version}}))


def make_pip():
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as wheel:
        info = "forged-1.0.dist-info/"
        wheel.writestr("forged.py", "")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: forged\nVersion: 1.0\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    write("pip/forged/forged-1.0-py3-none-any.whl", memory.getvalue())
    write("pip/forged/index.html", '<a href="forged-1.0-py3-none-any.whl">forged-1.0-py3-none-any.whl</a>')


def make_apt():
    control = "Package: forged\nVersion: 1.0\nArchitecture: all\nMaintainer: t <t@forge.test>\nDescription: x\n"
    path = os.path.dirname(os.path.dirname(write("package/DEBIAN/control", control)))
    os.makedirs(os.path.join(tree, "apt"))
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", path, os.path.join(tree, "apt/forged.deb")],
                   check=True, stdout=subprocess.DEVNULL)
    data = open(os.path.join(tree, "apt/forged.deb"), "rb").read()
    sums = f"Size: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
    write("apt/Packages", control + "Filename: ./forged.deb\n" + sums)


def make_git():
    work, bare = os.path.join(tree, "work"), os.path.join(tree, "x.git")
    who = ["-c", "user.name=t", "-c", "user.email=t@forge.test"]
    for words in (["init", "-q", work], ["-C", work, *who, "commit", "-q", "--allow-empty", "-m", "forged"],
                  ["clone", "-q", "--bare", work, bare], ["-C", bare, "update-server-info"]):
        subprocess.run(["git", *words], check=True)


class Pages(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        print(self.command, self.headers.get("Host"), self.path)


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)  # HTTPServer's would look up its own name


def serve(port, context=None):
    server = Server(("::", port), functools.partial(Pages, directory=tree))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()


def listen_ssh():
    listener = socket.create_server(("::", 22), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        client, _ = listener.accept()
        client.sendall(b"SSH-2.0-forge\r\n")
        print("SSH", client.recv(255).split(b"\r")[0].decode())
        client.close()


shutil.rmtree(tree, ignore_errors=True)
for make in (make_npm, make_pip, make_apt, make_git):
    make()
write("index.html", "forged page\n")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
for port in (80, 4873):
    serve(port)
serve(443, context)
threading.Thread(target=listen_ssh).start()
print("ready")
