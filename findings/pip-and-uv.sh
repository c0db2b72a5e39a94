#!/bin/bash
# An index of packages takes a token as a password. uv and pip install from it, with a netrc file or a keyring program that
# prints the token file. The token is replaced while they run, and the old one is dead at once.
#
# Guess: uv does what pip does: netrc is read for each request, and a 401 makes it ask the keyring program again. Such a
#        program prints the password and no more, `keyring get SERVICE USER`.
#
# Seen 2026-11-28 with uv 0.13.9, pip 26.3 and 23.2.1 (PyPI):
#   - uv reads netrc once and asks the keyring program once, for all of its run. After a 401 it sends the same token
#     again and ends with an error. With netrc its first request to each place goes without a password.
#   - pip goes on with the new token in both cases: netrc before each request, the keyring program again after a 401.
#   - pip 26.3 asks the program with `--mode=creds --output=json` and wants {"username": ..., "password": ...}; from a
#     program that prints the password, as pip 23.2.1 and uv want it, it takes nothing, and says nothing of it.
#
# For users of renewd: with uv the old token has to live on for as long as the longest install takes (`rotate_before`).
# A keyring program that prints the token file has to look for `--output=json` among its arguments, to serve all three.
set -eu
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install uv==0.13.9 pip==26.3
python3 -m venv old
old/bin/pip -q --disable-pip-version-check install pip==23.2.1
cat > run.py <<'PY'
import base64, http.server, io, os, shutil, subprocess, threading, zipfile

here = os.getcwd()
got, good = [], ["A"]

def wheel(name, needs=""):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        folder = f"{name}-1.0.dist-info/"
        z.writestr(f"{name}.py", "")
        z.writestr(folder + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
        z.writestr(folder + "WHEEL", "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(folder + "RECORD", "")
    return data.getvalue()

wheels = {"one": wheel("one", "Requires-Dist: two\n"), "two": wheel("two")}

def rotate(token):
    good[0] = token
    for name, text in (("netrc", f"machine 127.0.0.1 login job password {token}\n"), ("token", token)):
        with open(name + ".new", "w") as f:
            f.write(text)
        os.chmod(name + ".new", 0o600)
        os.rename(name + ".new", name)

class Index(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        sent = self.headers.get("Authorization")
        sent = base64.b64decode(sent.split()[1]).decode().split(":", 1)[1] if sent else ""
        parts = self.path.strip("/").split("/")
        name = parts[1].split("-")[0]
        page = parts[0] == "simple"
        got.append(f"{name}{'' if page else '.whl'} {sent or '-'}{'' if sent == good[0] else ' 401'}")
        if sent != good[0]:
            return self.answer(401, b"")
        file = f"{name}-1.0-py3-none-any.whl"
        if not page:
            return self.answer(200, wheels[name])
        if name == "one":
            rotate("B")     # between the first page and its file
        self.answer(200, f'<a href="/files/{file}">{file}</a>'.encode())
    do_HEAD = do_GET
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if body[:1] == b"<" else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.mkdir("bin")
def keyring_program(both):      # prints the token file; with `both` also as the JSON that pip 26.3 asks for
    with open("bin/keyring", "w") as f:
        f.write(f"#!/bin/sh\necho >> {here}/asked\n")
        if both:
            f.write(f'case "$*" in *--output=json*) printf \'{{"username":"job","password":"%s"}}\' "$(cat {here}/token)"; exit;; esac\n')
        f.write(f"cat {here}/token\n")
    os.chmod("bin/keyring", 0o755)
clean = {k: v for k, v in os.environ.items() if not k.upper().startswith(("UV_", "PIP_")) and not k.lower().endswith("_proxy")}
clean.update(HOME=here, PATH=f"{here}/bin:{os.environ['PATH']}")
uv = ["v/bin/uv", "pip", "install", "--no-config", "--no-cache", "--target", "out"]
def pip(folder):
    return [folder + "/bin/pip", "--isolated", "install", "-q", "--no-cache-dir", "--no-input", "--disable-pip-version-check", "--target", "out"]
tools = {"uv 0.13.9": uv, "pip 26.3": pip("v"), "pip 23.2.1": pip("old")}
for way in ("netrc", "keyring program, text", "keyring program, text or JSON"):
    keyring_program("JSON" in way)
    for tool, command in tools.items():
        rotate("A")
        got.clear()
        open("asked", "w").close()
        shutil.rmtree("out", ignore_errors=True)
        netrc = way == "netrc"
        user, more = ("", []) if netrc else ("job@", ["--keyring-provider", "subprocess"])
        url = f"http://{user}127.0.0.1:{server.server_port}/simple"
        env = dict(clean, NETRC=here + ("/netrc" if netrc else "/no-netrc"))
        code = subprocess.run(command + more + ["--index-url", url, "one"], env=env, capture_output=True, timeout=120).returncode
        print(f"SEEN: {way}: {tool}: {'installed' if code == 0 else 'failed'}: {', '.join(got)}", flush=True)
PY
v/bin/python run.py | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-28"; exit 1; }
SEEN: netrc: uv 0.13.9: failed: one - 401, one A, one.whl - 401, one.whl A 401
SEEN: netrc: pip 26.3: installed: one A, one.whl B, two B, two.whl B
SEEN: netrc: pip 23.2.1: installed: one A, one.whl B, two B, two.whl B
SEEN: keyring program, text: uv 0.13.9: failed: one A, one.whl - 401, one.whl A 401
SEEN: keyring program, text: pip 26.3: failed: one - 401, one - 401
SEEN: keyring program, text: pip 23.2.1: installed: one - 401, one A, one.whl A 401, one.whl B, two B, two.whl B
SEEN: keyring program, text or JSON: uv 0.13.9: failed: one A, one.whl - 401, one.whl A 401
SEEN: keyring program, text or JSON: pip 26.3: installed: one - 401, one A, one.whl A 401, one.whl B, two B, two.whl B
SEEN: keyring program, text or JSON: pip 23.2.1: installed: one - 401, one A, one.whl A 401, one.whl B, two B, two.whl B
END
