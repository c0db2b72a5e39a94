#!/bin/bash
# An exec plugin of a kubeconfig that prints the token from a file, as an ExecCredential: with `expirationTimestamp`, or
# without it, since the file is fresh at any time anyway.
#
# Guess: without expirationTimestamp a client keeps the token until the API answers 401, and runs the plugin again
#        then; with it, the plugin runs shortly before that time. So do the official clients.
#
# Seen 2026-11-27 with kubernetes 37.0.2 (PyPI), @kubernetes/client-node 1.4.0 and 2.0.1 (npm, under Node 24.21.0):
#   - without it, Python and client-node 2.0.1 run the plugin once and never again, also after 401s.
#   - client-node 1.4.0 ran it for each request: what worked there goes stale with the upgrade.
#   - with it, Python runs it for each request once less than 5 minutes are left, so always for tokens that live
#     shorter. JavaScript keeps the token with less than that left.
#
# For users of renewd: a plugin that prints a token file has to print expirationTimestamp, the token's real end.
# Without it these clients use the first token for ever, though the file is fresh.
set -eu
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install kubernetes==37.0.2 PyYAML
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund node@24.21.0 v1@npm:@kubernetes/client-node@1.4.0 v2@npm:@kubernetes/client-node@2.0.1

cat > run.mjs <<'JS'
const { KubeConfig, VersionApi } = await import(process.argv[2])
const config = new KubeConfig()
config.loadFromFile('kubeconfig')
const api = config.makeApiClient(VersionApi)
for (let i = 0; i < 6; i++) {
  await api.getCode().catch(() => {})
  await new Promise((r) => setTimeout(r, 1000))
}
JS
cat > run-client.py <<'PY'
import time
from kubernetes import client, config
config.load_kube_config("kubeconfig")
api = client.VersionApi()
for _ in range(6):
    try:
        api.get_code()
    except client.exceptions.ApiException:
        pass
    time.sleep(1)
PY
# The plugin numbers its tokens: T1 is the first run's. It ends LIFE seconds after the run.
cat > plugin <<'SH'
#!/bin/sh
n=$(($(cat runs) + 1)); echo "$n" > runs
[ "$LIFE" = none ] || end=',"expirationTimestamp":"'$(date -u -d "+$LIFE seconds" +%Y-%m-%dT%H:%M:%SZ)'"'
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"T%s"%s}}' "$n" "${end-}"
SH
chmod +x plugin
cat > run.py <<'PY'
import http.server, json, os, subprocess, sys, threading
import yaml

got = []
refuse = range(0)
version = json.dumps(dict.fromkeys(["major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate",
                                    "goVersion", "compiler", "platform"], "1")).encode()

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        got.append((self.headers.get("Authorization") or "none").removeprefix("Bearer "))
        self.send_response(401 if len(got) in refuse else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(version)))
        self.end_headers()
        self.wfile.write(version)
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": os.path.abspath("plugin"), "interactiveMode": "Never"}}
cluster = {"server": f"http://127.0.0.1:{server.server_port}", "insecure-skip-tls-verify": True}
with open("kubeconfig", "w") as f:
    yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}]}, f)
for life, what in [("none", "no expirationTimestamp, 401 for requests 3 and 4"), ("200", "200 s to live"),
                   ("400", "400 s to live")]:
    refuse = range(3, 5) if life == "none" else range(0)
    for name, command in [("Python", [sys.executable, "run-client.py"]), ("client-node 1.4.0", ["node_modules/.bin/node", "run.mjs", "v1"]),
                          ("client-node 2.0.1", ["node_modules/.bin/node", "run.mjs", "v2"])]:
        got.clear()
        with open("runs", "w") as f:
            f.write("0")
        subprocess.run(command, env=dict(os.environ, LIFE=life), check=True, timeout=120)
        runs = open("runs").read().strip()
        print(f"SEEN: {what}: {name}: 6 requests, {runs} runs of the plugin, sent {' '.join(got)}", flush=True)
PY
v/bin/python run.py | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: no expirationTimestamp, 401 for requests 3 and 4: Python: 6 requests, 1 runs of the plugin, sent T1 T1 T1 T1 T1 T1
SEEN: no expirationTimestamp, 401 for requests 3 and 4: client-node 1.4.0: 6 requests, 6 runs of the plugin, sent T1 T2 T3 T4 T5 T6
SEEN: no expirationTimestamp, 401 for requests 3 and 4: client-node 2.0.1: 6 requests, 1 runs of the plugin, sent T1 T1 T1 T1 T1 T1
SEEN: 200 s to live: Python: 6 requests, 7 runs of the plugin, sent T2 T3 T4 T5 T6 T7
SEEN: 200 s to live: client-node 1.4.0: 6 requests, 1 runs of the plugin, sent T1 T1 T1 T1 T1 T1
SEEN: 200 s to live: client-node 2.0.1: 6 requests, 1 runs of the plugin, sent T1 T1 T1 T1 T1 T1
SEEN: 400 s to live: Python: 6 requests, 1 runs of the plugin, sent T1 T1 T1 T1 T1 T1
SEEN: 400 s to live: client-node 1.4.0: 6 requests, 1 runs of the plugin, sent T1 T1 T1 T1 T1 T1
SEEN: 400 s to live: client-node 2.0.1: 6 requests, 1 runs of the plugin, sent T1 T1 T1 T1 T1 T1
END
