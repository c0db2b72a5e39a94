#!/bin/bash
# An issuer with refresh tokens that is no OAuth server: a Matrix homeserver (Synapse) with refreshable access tokens.
#
# Guess: the answer has its lifetime in seconds. A refresh token is spent once it was answered; the same one again is
#        refused, and takes the family with it. The access token before it ends at the refresh, or at its own time.
#
# Seen 2026-11-27 with matrix-synapse 1.163.2 (PyPI):
#   - the lifetime is `expires_in_ms`, in milliseconds. Read as seconds, 5 minutes are 83 hours.
#   - until something of the answer was used, the refresh token may be sent again, as often as one likes. Each answer
#     makes the one before it void: its access token (401) and its refresh token.
#   - once the new access token was used, the old refresh token is refused with 403, and nothing else is harmed: the
#     new pair goes on.
#   - the first access token stays good after that.
#
# For users of renewd (source = "http"): no `response.expires_in` for `/expires_in_ms`; write `ttl`, shorter than the
# server's refreshable_access_token_lifetime. A lost answer costs nothing here: renewd sends the refresh token again.
set -eu
T=$(mktemp -d)
S=
trap '[ -z "$S" ] || { kill "$S"; wait "$S" || :; } 2>/dev/null; rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install matrix-synapse==1.163.2
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
v/bin/python -m synapse.app.homeserver --server-name matrix.example --config-path all.yaml --generate-config \
    --report-stats=no > /dev/null 2>&1
cat > own.yaml <<END
registration_shared_secret: example-registration-secret
refreshable_access_token_lifetime: 5m
suppress_key_server_warning: true
listeners:
  - { port: $PORT, bind_addresses: ["127.0.0.1"], type: http, tls: false, resources: [{ names: [client] }] }
END
v/bin/python -m synapse.app.homeserver --config-path all.yaml --config-path own.yaml > log 2>&1 & S=$!
for _ in $(seq 120); do
    python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)" 2> /dev/null && break
    sleep 0.5
done
v/bin/register_new_matrix_user -u job -p example-password --no-admin -k example-registration-secret \
    "http://127.0.0.1:$PORT" > /dev/null

cat > run.py <<'PY'
import json, sys, urllib.error, urllib.request
base = f"http://127.0.0.1:{sys.argv[1]}/_matrix/client/v3"

def call(path, body=None, token=None):
    request = urllib.request.Request(base + path, json.dumps(body).encode() if body else None)
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)

def refresh(token):
    return call("/refresh", {"refresh_token": token})

def good(answer):
    return call("/account/whoami", token=answer["access_token"])[0]

status, login = call("/login", {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "job"},
                                "password": "example-password", "refresh_token": True})
status, first = refresh(login["refresh_token"])
print("SEEN: fields that tell an end:", {k: v for k, v in first.items() if "expires" in k})
status, second = refresh(login["refresh_token"])
print(f"SEEN: same refresh token again, nothing used yet: {status}; access token of the first answer {good(first)},",
      f"its refresh token {refresh(first['refresh_token'])[0]}")
print(f"SEEN: access token of the second answer {good(second)}, the one of the login {good(login)}")
status, refused = refresh(login["refresh_token"])
print(f"SEEN: same refresh token again, after a use of the new access token: {status} {refused.get('errcode')}")
print(f"SEEN: after that: access token of the second answer {good(second)}, its refresh token {refresh(second['refresh_token'])[0]}")
PY
python3 run.py "$PORT" | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: fields that tell an end: {'expires_in_ms': 300000}
SEEN: same refresh token again, nothing used yet: 200; access token of the first answer 401, its refresh token 401
SEEN: access token of the second answer 200, the one of the login 200
SEEN: same refresh token again, after a use of the new access token: 403 M_FORBIDDEN
SEEN: after that: access token of the second answer 200, its refresh token 200
END
