#!/bin/bash
# One NO_PROXY for a host, read by several HTTP clients.
#
# Guess: the usual forms (a network, host:port, a domain with a dot, `*.domain`) mean the same to each of them, at
#        least within one language.
#
# Seen 2026-11-27 with requests 2.34.2, httpx 0.28.1, aiohttp 3.14.5, urllib of Python 3.11, undici 7.30.2 (npm):
#   - a network in CIDR form is known to requests alone. The others go to the proxy with it.
#   - ADDRESS:PORT is known to urllib, httpx and undici, and not to requests and aiohttp.
#   - a domain with a leading dot covers the domain itself in all but httpx.
#   - `*.domain` is known to undici alone, a blank between two entries too.
#   - what they all take alike: a full host name, an address, a bare domain for all below it, `*` alone.
#
# For users of renewd: renewd's own requests, those of a command source and those of the jobs may take different ways
# with the same variable. A token endpoint is reached and the API is not, or a plain http request with the token
# passes the proxy. Write bare domains and full addresses, with commas.
set -eu
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" -q --disable-pip-version-check install requests==2.34.2 httpx==0.28.1 aiohttp==3.14.5
cd "$T"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund undici@7.30.2

cat > run.py <<'PY'
import http.server, os, subprocess, sys, threading

hits = []

class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        hits.append("proxy" if self.path.startswith("http://") else "direct")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_CONNECT(self):
        hits.append("proxy")
        self.send_error(502)
    def log_message(self, *args):
        pass

def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port

api, proxy = serve(), serve()
aio = """import aiohttp, asyncio, sys
async def go():
    async with aiohttp.ClientSession(trust_env=True) as c:
        await c.get(sys.argv[1], timeout=aiohttp.ClientTimeout(5))
asyncio.run(go())"""
node = """const { EnvHttpProxyAgent, request } = require('undici')
request(process.argv[1], { dispatcher: new EnvHttpProxyAgent() }).then(r => r.body.dump()).catch(() => {})"""
python = [sys.executable, "-c"]
clients = {
    "urllib": python + ["import urllib.request as u, sys; u.urlopen(sys.argv[1], timeout=5)"],
    "requests": python + ["import requests, sys; requests.get(sys.argv[1], timeout=5)"],
    "httpx": python + ["import httpx, sys; httpx.get(sys.argv[1], timeout=5)"],
    "aiohttp": python + [aio],
    "undici": ["node", "-e", node],
}
clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
# `api.localtest` has no address: a client that goes there directly fails, and does not reach the proxy.
for entry, host in [("127.0.0.1", "127.0.0.1"), ("127.0.0.0/8", "127.0.0.1"), ("127.0.0.1:PORT", "127.0.0.1"),
                    ("localtest", "api.localtest"), (".localtest", "api.localtest"), (".localhost", "localhost"),
                    ("*.localtest", "api.localtest"), ("other.example 127.0.0.1", "127.0.0.1"), ("*", "127.0.0.1")]:
    env = dict(clean, http_proxy=f"http://127.0.0.1:{proxy}", no_proxy=entry.replace("PORT", str(api)))
    by_proxy = []
    for name, command in clients.items():
        hits.clear()
        subprocess.run(command + [f"http://{host}:{api}/"], env=env, stderr=subprocess.DEVNULL, timeout=60)
        if "proxy" in hits:
            by_proxy.append(name)
    print(f"SEEN: no_proxy={entry!r}, to {host}: by the proxy: {', '.join(by_proxy) or 'none'}", flush=True)
PY
v/bin/python run.py | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: no_proxy='127.0.0.1', to 127.0.0.1: by the proxy: none
SEEN: no_proxy='127.0.0.0/8', to 127.0.0.1: by the proxy: urllib, httpx, aiohttp, undici
SEEN: no_proxy='127.0.0.1:PORT', to 127.0.0.1: by the proxy: requests, aiohttp
SEEN: no_proxy='localtest', to api.localtest: by the proxy: none
SEEN: no_proxy='.localtest', to api.localtest: by the proxy: none
SEEN: no_proxy='.localhost', to localhost: by the proxy: httpx
SEEN: no_proxy='*.localtest', to api.localtest: by the proxy: urllib, requests, httpx, aiohttp
SEEN: no_proxy='other.example 127.0.0.1', to 127.0.0.1: by the proxy: urllib, requests, httpx, aiohttp
SEEN: no_proxy='*', to 127.0.0.1: by the proxy: none
END
