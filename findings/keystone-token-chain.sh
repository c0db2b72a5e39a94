#!/bin/bash
# OpenStack's Keystone takes a token in the place of the password (method `token`), and answers 201 with a new one. So a
# token could be kept fresh by itself, and the password or the secret of an application credential stay away.
#
# Guess: a new token lives a whole lifetime. To revoke one token ends that one. A token of an application credential may do
#        the same, since it can do less than the password. Whoever changes the password ends what came by the password.
#
# Seen 2026-11-28 with keystone 30.0.0 (PyPI), fernet tokens, its defaults:
#   - a token that was got for a token ends when the first one ends, whose `expires_at` it repeats: nothing is fresher.
#   - to revoke the first ends all that came from it; to revoke the last ends the last alone.
#   - with a token of an application credential it is refused (403): only the secret gets another.
#   - a new password ends the tokens of the application credentials too. These themselves go on.
#   - the token stands in the header X-Subject-Token of the answer, not in its body.
#
# For users of renewd: get each token with the password or the application credential's secret, by `source = "command"`
# (`source = "http"` reads bodies only). After a change of the user's password run `renewd rotate`: the tokens in the
# files are dead.
set -eu
T=$(mktemp -d)
K=
trap '[ -z "$K" ] || { kill "$K"; wait "$K" || :; } 2>/dev/null; rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install keystone==30.0.0
mkdir -m 700 fernet credential
cat > keystone.conf <<END
[DEFAULT]
log_file = $T/log
[database]
connection = sqlite:///$T/db
[fernet_tokens]
key_repository = $T/fernet
[credential]
key_repository = $T/credential
END
me="--keystone-user $(id -un) --keystone-group $(id -gn)"
for c in db_sync "fernet_setup $me" "credential_setup $me" "bootstrap --bootstrap-password first --bootstrap-public-url http://127.0.0.1/"; do
    v/bin/keystone-manage --config-file keystone.conf $c > /dev/null 2>&1
done
cat > server.py <<'PY'
import os
from wsgiref.simple_server import WSGIRequestHandler, make_server
from keystone.server.flask import core
class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass
server = make_server("127.0.0.1", 0, core.initialize_application(name="public", config_files=["keystone.conf"]), handler_class=Quiet)
with open("port.new", "w") as f:
    f.write(str(server.server_port))
os.rename("port.new", "port")
server.serve_forever()
PY
v/bin/python -W ignore server.py > /dev/null 2>&1 & K=$!
for _ in $(seq 300); do [ -e port ] && break; sleep 0.1; done

cat > run.py <<'PY'
import json, time, urllib.error, urllib.request
base = "http://127.0.0.1:" + open("port").read() + "/v3"

def call(method, path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(base + path, body and json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, method=method)
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as e:
        return e.code, None, e.read()
    text = answer.read()
    return answer.status, answer.headers["X-Subject-Token"], json.loads(text) if text else None

domain = {"domain": {"id": "default"}}
def get(method, scoped=True, **what):
    auth = {"identity": {"methods": [method], method: what}}
    if scoped:
        auth["scope"] = {"project": {"name": "admin", **domain}}
    return call("POST", "/auth/tokens", {"auth": auth})
def by_password(password="first"):
    return get("password", user={"name": "admin", "password": password, **domain})
def state(judge, *tokens):
    return " ".join("good" if call("GET", "/auth/tokens", X_Auth_Token=judge, X_Subject_Token=t)[0] == 200 else "dead" for t in tokens)
def revoke(judge, token):
    call("DELETE", "/auth/tokens", X_Auth_Token=judge, X_Subject_Token=token)

judge = by_password()[1]
_, first, answer = by_password()
user, end = answer["token"]["user"]["id"], answer["token"]["expires_at"]
time.sleep(2)
status, second, later = get("token", id=first)
third = get("token", id=second)[1]
print(f"SEEN: a token by a token 2 s later: {status}, ends", "at the same second as the first" if later["token"]["expires_at"] == end else "later")
print("SEEN: the token is in the body:", "yes" if second in json.dumps(later) else "no", "| as a header: yes")
revoke(judge, third)
print("SEEN: first, second, third, when the third was revoked:", state(judge, first, second, third))
revoke(judge, first)
print("SEEN: first, second, third, when the first was revoked:", state(judge, first, second, third))

def application(name):
    made = call("POST", f"/users/{user}/application_credentials", {"application_credential": {"name": name, "roles": [{"name": "admin"}]}},
                X_Auth_Token=judge)[2]["application_credential"]
    return {"id": made["id"], "secret": made["secret"]}
one, two = application("one"), application("two")
def by_application(credential):
    return get("application_credential", scoped=False, **credential)
t1, t2 = by_application(one)[1], by_application(two)[1]
print("SEEN: a token by an application credential's token:", get("token", scoped=False, id=t1)[0])
call("DELETE", f"/users/{user}/application_credentials/{one['id']}", X_Auth_Token=judge)
print("SEEN: tokens of two application credentials, the first credential deleted:", state(judge, t1, t2))
time.sleep(2)
call("POST", f"/users/{user}/password", {"user": {"original_password": "first", "password": "other"}}, X_Auth_Token=judge)
new = by_password("other")[1]
print("SEEN: password changed: the second one's token:", state(new, t2), "| a new token by its secret:", by_application(two)[0])
PY
v/bin/python run.py | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-28"; exit 1; }
SEEN: a token by a token 2 s later: 201, ends at the same second as the first
SEEN: the token is in the body: no | as a header: yes
SEEN: first, second, third, when the third was revoked: good good dead
SEEN: first, second, third, when the first was revoked: dead dead dead
SEEN: a token by an application credential's token: 403
SEEN: tokens of two application credentials, the first credential deleted: dead good
SEEN: password changed: the second one's token: dead | a new token by its secret: 201
END
