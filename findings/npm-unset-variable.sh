#!/bin/bash
# An .npmrc takes its token from a variable, `_authToken=${JOB_TOKEN}`, that an env file sets. One day the file is not
# there yet, or the variable is empty.
#
# Guess: npm treats a variable that is not set like an empty one, and stops before it asks the registry.
#
# Seen 2026-11-27 with npm 11.19.1:
#   - not set: npm sends the text itself, `Authorization: Bearer ${JOB_TOKEN}`. With a registry that needs no token for
#     reading, or takes what it does not know for anonymous, the command ends with 0; else it is a 401 that looks like
#     an expired token.
#   - set but empty: it stops with ENEEDAUTH and sends nothing.
#   - `${JOB_TOKEN?}` makes "not set" the same as empty.
#
# For users of renewd: write `${JOB_TOKEN?}`, the question mark included.
set -eu
T=$(mktemp -d)
S=
trap '[ -z "$S" ] || kill "$S" 2>/dev/null || :; rm -rf "$T"' EXIT
cd "$T"
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund npm@11.19.1
cat > server.py <<'PY'
import http.server, os
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("asked", "a") as f:
            f.write(str(self.headers.get("Authorization")) + "\n")
        body = b'{"username":"anonymous"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
with open("port.new", "w") as f:
    f.write(str(server.server_port))
os.rename("port.new", "port")
server.serve_forever()
PY
python3 server.py & S=$!
for _ in $(seq 100); do [ -e port ] && break; sleep 0.1; done
P=$(cat port)
try() { # FORM, then "unset" or the variable's value
    echo "//127.0.0.1:$P/:_authToken=$1" > npmrc
    unset JOB_TOKEN
    [ "$2" = unset ] || export JOB_TOKEN="$2"
    rm -f asked; touch asked
    local code=0
    node_modules/.bin/npm whoami --userconfig "$T/npmrc" --registry "http://127.0.0.1:$P/" > out 2>&1 || code=$?
    echo "SEEN: $1, variable '$2': exit $code, sent: $(cat asked)$(grep -o 'code E[A-Z]*' out | head -1)"
}
{
    try '${JOB_TOKEN}' abc
    try '${JOB_TOKEN}' unset
    try '${JOB_TOKEN}' ''
    try '${JOB_TOKEN?}' abc
    try '${JOB_TOKEN?}' unset
} | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: ${JOB_TOKEN}, variable 'abc': exit 0, sent: Bearer abc
SEEN: ${JOB_TOKEN}, variable 'unset': exit 0, sent: Bearer ${JOB_TOKEN}
SEEN: ${JOB_TOKEN}, variable '': exit 1, sent: code ENEEDAUTH
SEEN: ${JOB_TOKEN?}, variable 'abc': exit 0, sent: Bearer abc
SEEN: ${JOB_TOKEN?}, variable 'unset': exit 1, sent: code ENEEDAUTH
END
