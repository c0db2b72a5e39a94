#!/bin/bash
# A job sends its token in a header of its own, and its user has a netrc with a line for the same host.
#
# Guess: a header that the program sets itself wins over netrc, in each of Python's common HTTP clients; netrc only
#        fills in where no Authorization is given.
#
# Seen 2026-11-27 with requests 2.34.2, httpx 0.28.1, aiohttp 3.14.5 (Python 3.11):
#   - requests replaces the header by netrc's user and password, silently, also one set on a Session.
#     `session.trust_env = False` keeps it, and turns the proxy variables off with it.
#   - httpx never looks at netrc.
#   - aiohttp ignores netrc, but with `trust_env=True`, which one sets to get the proxy variables, it raises
#     ValueError for each request that has a header of its own. Nothing is sent.
#   - without a header, requests and aiohttp (trust_env) read netrc again for each request.
#
# For users of renewd: a netrc file that serves curl or pip breaks Python jobs of the same user on the same host, with
# a 401 for a good token or an exception. Give such a netrc to the one tool that needs it (curl --netrc-file), or use
# it for all jobs of that host.
set -eu
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" -q --disable-pip-version-check install requests==2.34.2 httpx==0.28.1 aiohttp==3.14.5

cat > "$T/run.py" <<'PY'
import asyncio, base64, http.server, os, sys, threading
import aiohttp, httpx, requests

seen = []

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        seen.append(self.headers.get("Authorization"))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
header = {"Authorization": "Bearer FROM-FILE"}
for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]
os.environ["NETRC"] = netrc = sys.argv[1] + "/netrc"

def write(password):
    with open(netrc + ".new", "w") as f:
        f.write(f"machine 127.0.0.1 login job password {password}\n")
    os.chmod(netrc + ".new", 0o600)
    os.rename(netrc + ".new", netrc)

def show(what):
    told = []
    for value in seen:
        if value and value.startswith("Basic "):
            value = "netrc " + base64.b64decode(value[6:]).decode()
        told.append(str(value))
    seen.clear()
    print(f"SEEN: {what}: {', '.join(told) or 'nothing sent'}")

write("OLD")
requests.get(url, headers=header); show("requests, header")
session = requests.Session(); session.headers.update(header)
session.get(url); show("requests, header of a session")
session.trust_env = False
session.get(url); show("requests, trust_env off")
session = requests.Session()
session.get(url); write("NEW"); session.get(url); show("requests, no header, netrc replaced between")
httpx.get(url, headers=header); httpx.get(url); show("httpx, with and without header")

async def aio():
    for trust in (False, True):
        write("OLD")
        async with aiohttp.ClientSession(trust_env=trust) as client:
            try:
                await client.get(url, headers=header)
                error = ""
            except ValueError:
                error = " (ValueError)"
            show(f"aiohttp, trust_env={trust}, header{error}")
            await client.get(url); write("NEW"); await client.get(url)
            show(f"aiohttp, trust_env={trust}, no header, netrc replaced between")
asyncio.run(aio())
PY
"$T/v/bin/python" "$T/run.py" "$T" | tee "$T/seen"
diff -u - "$T/seen" <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: requests, header: netrc job:OLD
SEEN: requests, header of a session: netrc job:OLD
SEEN: requests, trust_env off: Bearer FROM-FILE
SEEN: requests, no header, netrc replaced between: netrc job:OLD, netrc job:NEW
SEEN: httpx, with and without header: Bearer FROM-FILE, None
SEEN: aiohttp, trust_env=False, header: Bearer FROM-FILE
SEEN: aiohttp, trust_env=False, no header, netrc replaced between: None, None
SEEN: aiohttp, trust_env=True, header (ValueError): nothing sent
SEEN: aiohttp, trust_env=True, no header, netrc replaced between: netrc job:OLD, netrc job:NEW
END
