#!/bin/bash
# Client libraries that hold a refresh token and replace the access token by themselves, at an issuer whose answers are
# legal (RFC 6749 5.1) but not the usual ones. Each program logs in, and calls the API three times, 2.6 s apart.
#
# Guess: where the answer to a refresh has no new refresh token, the old one is kept (RFC 6749 6). `expires_in` 0 is a
#        token at its end. A token of 60 s serves for some part of a minute. An `expires_at`, which RFC 6749 does not
#        know, is of no matter beside `expires_in`.
#
# Seen 2026-11-28 with Authlib 1.9.10, requests-oauthlib 2.0.0 with oauthlib 4.0.1, requests-oauth2client 1.8.0,
# httpx-auth 0.23.1 (PyPI), simple-oauth2 5.1.0, @badgateway/oauth2-client 3.3.1 (npm):
#   - no new refresh token: requests-oauth2client, httpx-auth and simple-oauth2 forget the old one. The first refresh is
#     well, and the second is not: one raises, one sends the user's password again, one asks without a refresh token.
#   - `expires_in` 0: to four the token has no end, and is never refreshed. httpx-auth wants a JWT then and raises; simple-oauth2
#     refreshes before each use.
#   - a token of 60 s: Authlib refreshes before each request (its margin is 60 s for any lifetime); the others do not.
#   - `expires_at` an hour ahead and `expires_in` 2: Authlib, requests-oauthlib and simple-oauth2 believe the hour.
#
# For users of renewd: a job that is given the access token from the file has none of this. Where a library holds a
# refresh token of its own instead, try its second refresh, not the first; and with Authlib ask for more than a minute.
set -eu
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install Authlib==1.9.10 requests-oauthlib==2.0.0 oauthlib==4.0.1 requests-oauth2client==1.8.0 \
    httpx-auth==0.23.1 httpx==0.28.1 requests==2.34.2
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund simple-oauth2@5.1.0 @badgateway/oauth2-client@3.3.1

cat > client.mjs <<'JS'
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client'
import { ResourceOwnerPassword } from 'simple-oauth2'
const [name, url] = process.argv.slice(2)
const user = { username: 'ann', password: 'pw' }
let call
if (name === 'simple-oauth2') {
  const path = new URL(url).pathname
  const client = new ResourceOwnerPassword({ client: { id: 'job', secret: 'x' }, auth: { tokenHost: new URL(url).origin, tokenPath: `${path}/token` } })
  let token = await client.getToken(user)
  call = async () => {
    if (token.expired()) token = await token.refresh()
    await fetch(`${url}/api`, { headers: { authorization: `Bearer ${token.token.access_token}` } })
  }
} else {
  const client = new OAuth2Client({ server: url, clientId: 'job', clientSecret: 'x', tokenEndpoint: `${url}/token` })
  const api = new OAuth2Fetch({ client, scheduleRefresh: false, getNewToken: () => client.password(user) })
  call = () => api.fetch(`${url}/api`)
}
for (let i = 0; i < 3; i++) {
  if (i) await new Promise((done) => setTimeout(done, 2600))
  await call()
}
JS
cat > client.py <<'PY'
import sys, time
name, url = sys.argv[1:]
token_url = url + "/token"
def authlib():
    from authlib.integrations.requests_client import OAuth2Session
    session = OAuth2Session("job", "x", token_endpoint=token_url)
    session.fetch_token(token_url, grant_type="password", username="ann", password="pw")
    return session
def requests_oauthlib():
    from oauthlib.oauth2 import LegacyApplicationClient
    from requests_oauthlib import OAuth2Session
    session = OAuth2Session(client=LegacyApplicationClient("job"), auto_refresh_url=token_url, token_updater=lambda token: None)
    session.fetch_token(token_url, username="ann", password="pw")
    return session
def requests_oauth2client():
    import requests
    from requests_oauth2client import OAuth2AccessTokenAuth, OAuth2Client
    client = OAuth2Client(token_url, client_id="job", client_secret="x", testing=True)
    session = requests.Session()
    session.auth = OAuth2AccessTokenAuth(client=client, token=client.resource_owner_password("ann", "pw"))
    return session
def httpx_auth():
    import httpx
    from httpx_auth import OAuth2ResourceOwnerPasswordCredentials
    return httpx.Client(auth=OAuth2ResourceOwnerPasswordCredentials(token_url, "ann", "pw"))
session = {"Authlib": authlib, "requests-oauthlib": requests_oauthlib, "requests-oauth2client": requests_oauth2client, "httpx-auth": httpx_auth}[name]()
for i in range(3):
    if i:
        time.sleep(2.6)
    session.get(url + "/api")
PY
cat > run.py <<'PY'
import http.server, json, os, subprocess, sys, threading, time, urllib.parse

cases = {"no new refresh token": {"expires_in": 2}, "expires_in 0": {"expires_in": 0}, "expires_in 60": {"expires_in": 60},
         "expires_in 2, expires_at in an hour": {"expires_in": 2, "expires_at": 0}}
clients = ["Authlib", "requests-oauthlib", "requests-oauth2client", "httpx-auth", "simple-oauth2", "@badgateway/oauth2-client"]
seen = {}       # what reached the issuer and the API, by case and client

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, body=b""):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        case, client = map(int, self.path.split("/")[1:3])
        said = seen[case, client]
        said.append("password" if form["grant_type"] == "password" else "refresh " + form.get("refresh_token", "without a token"))
        n = sum(1 for s in said if s.startswith(("password", "refresh")))
        name = list(cases)[case]
        token = dict(cases[name], access_token=f"T{n}", token_type="Bearer", refresh_token=f"R{n}")
        if "expires_at" in token:
            token["expires_at"] = int(time.time()) + 3600
        if case == 0 and n > 1:
            del token["refresh_token"]
        self.answer(json.dumps(token).encode())
    def do_GET(self):
        case, client = map(int, self.path.split("/")[1:3])
        seen[case, client].append(self.headers["Authorization"].removeprefix("Bearer "))
        self.answer()
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
env = dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1", AUTHLIB_INSECURE_TRANSPORT="1")
for case, what in enumerate(cases):
    running = []
    for i, name in enumerate(clients):
        seen[case, i] = []
        command = ["node", "client.mjs"] if i > 3 else [sys.executable, "-W", "ignore", "client.py"]
        url = f"http://127.0.0.1:{server.server_port}/{case}/{i}"
        running.append(subprocess.Popen(command + [name, url], env=env, stderr=subprocess.PIPE, text=True))
    for i, client in enumerate(running):
        error = client.communicate(timeout=60)[1].strip().splitlines()
        if client.returncode:
            seen[case, i].append("raised " + error[-1].split(":")[0].split(".")[-1])
        print(f"SEEN: {what}: {clients[i]}: {', '.join(seen[case, i])}", flush=True)
PY
v/bin/python run.py | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-28"; exit 1; }
SEEN: no new refresh token: Authlib: password, refresh R1, T2, refresh R1, T3, refresh R1, T4
SEEN: no new refresh token: requests-oauthlib: password, T1, refresh R1, T2, refresh R1, T3
SEEN: no new refresh token: requests-oauth2client: password, refresh R1, T2, raised ExpiredAccessToken
SEEN: no new refresh token: httpx-auth: password, T1, refresh R1, T2, password, T3
SEEN: no new refresh token: simple-oauth2: password, T1, refresh R1, T2, refresh without a token, T3
SEEN: no new refresh token: @badgateway/oauth2-client: password, T1, refresh R1, T2, refresh R1, T3
SEEN: expires_in 0: Authlib: password, T1, T1, T1
SEEN: expires_in 0: requests-oauthlib: password, T1, T1, T1
SEEN: expires_in 0: requests-oauth2client: password, T1, T1, T1
SEEN: expires_in 0: httpx-auth: password, raised ValueError
SEEN: expires_in 0: simple-oauth2: password, refresh R1, T2, refresh R2, T3, refresh R3, T4
SEEN: expires_in 0: @badgateway/oauth2-client: password, T1, T1, T1
SEEN: expires_in 60: Authlib: password, refresh R1, T2, refresh R2, T3, refresh R3, T4
SEEN: expires_in 60: requests-oauthlib: password, T1, T1, T1
SEEN: expires_in 60: requests-oauth2client: password, T1, T1, T1
SEEN: expires_in 60: httpx-auth: password, T1, T1, T1
SEEN: expires_in 60: simple-oauth2: password, T1, T1, T1
SEEN: expires_in 60: @badgateway/oauth2-client: password, T1, T1, T1
SEEN: expires_in 2, expires_at in an hour: Authlib: password, T1, T1, T1
SEEN: expires_in 2, expires_at in an hour: requests-oauthlib: password, T1, T1, T1
SEEN: expires_in 2, expires_at in an hour: requests-oauth2client: password, refresh R1, T2, refresh R2, T3, refresh R3, T4
SEEN: expires_in 2, expires_at in an hour: httpx-auth: password, T1, refresh R1, T2, refresh R2, T3
SEEN: expires_in 2, expires_at in an hour: simple-oauth2: password, T1, T1, T1
SEEN: expires_in 2, expires_at in an hour: @badgateway/oauth2-client: password, T1, refresh R1, T2, refresh R2, T3
END
