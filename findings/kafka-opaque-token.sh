#!/bin/bash
# librdkafka asks an issuer for its token itself (sasl.oauthbearer.method=oidc), or takes it from the program's
# `oauth_cb`, which reads a token file. The issuer is oidc-provider, whose access tokens are opaque by default.
#
# Guess: an access token is opaque to a client (RFC 6749 1.4), and librdkafka takes its lifetime from `expires_in`.
#        A callback that had only an expired token to give is asked again with the next poll.
#
# Seen 2026-11-27 with confluent-kafka 2.16.1 (librdkafka 2.16.0) and oidc-provider 9.13.3 (npm):
#   - with method oidc an opaque token is refused, though the answer has `expires_in`: the token has to be a JWT.
#     The issuer has handed it out by then, and no broker is ever asked. A JWT of the same issuer is taken.
#   - the callback is called at the start, after 80 % of what was left of the token, and at its end. If it has none
#     that is valid then, the next call comes 10 s later, whatever the file holds meanwhile.
#
# For users of renewd: with an issuer of opaque tokens let renewd fetch the token and give it to `oauth_cb`, with its
# end from the file (`expires_variable`, or a template). Rotate before 80 % of the lifetime; the default of 0.67 does.
set -eu
T=$(mktemp -d)
N=
trap '[ -z "$N" ] || kill "$N" 2>/dev/null || :; rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install confluent-kafka==2.16.1
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund oidc-provider@9.13.3

cat > issuer.mjs <<'JS'
import { Provider } from 'oidc-provider'
import http from 'node:http'
import fs from 'node:fs'
const jwt = process.argv[2] === 'jwt'
const server = http.createServer()
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const issuer = `http://127.0.0.1:${server.address().port}`
const provider = new Provider(issuer, {
  clients: [{ client_id: 'job', client_secret: 'example', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
  ttl: { ClientCredentials: 60 },
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: jwt,
      defaultResource: () => 'urn:example:kafka',
      getResourceServerInfo: () => ({ scope: '', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }),
    },
  },
})
provider.on('grant.success', (ctx) => fs.appendFileSync('issued', `expires_in ${ctx.body.expires_in}, ${ctx.body.access_token.split('.').length} part(s)\n`))
server.on('request', provider.callback())
fs.writeFileSync('url.new', `${issuer}/token`)
fs.renameSync('url.new', 'url')
JS
cat > oidc.py <<'PY'
import sys, time
from confluent_kafka import Producer
said = []
# Nobody listens at port 1: what counts is whether it comes to asking a broker at all.
client = Producer({
    "bootstrap.servers": "127.0.0.1:1", "security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.id": "job", "sasl.oauthbearer.client.secret": "example",
    "sasl.oauthbearer.token.endpoint.url": open("url").read(), "log_level": 0, "error_cb": lambda e: said.append(e)})
end = time.time() + 8
while time.time() < end and not said:
    client.poll(0.2)
print(f"SEEN: issuer's answer, {sys.argv[1]}: {open('issued').read().splitlines()[0]};",
      "token refused" if any("Failed to acquire SASL OAUTHBEARER token" in e.str() for e in said) else "token taken, brokers asked")
PY
cat > callback.py <<'PY'
import time
from confluent_kafka import Producer
start = time.time()
calls, state = [], {"token": "A", "end": start + 10}
def oauth_cb(_):
    calls.append(time.time() - start)
    return state["token"], state["end"]
client = Producer({"bootstrap.servers": "127.0.0.1:1", "security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "OAUTHBEARER",
                   "oauth_cb": oauth_cb, "log_level": 0, "error_cb": lambda e: None})
while time.time() - start < 23:
    client.poll(0.1)
    if state["token"] == "A" and time.time() - start > 12:      # the file is replaced 2 s after its token's end
        state = {"token": "B", "end": time.time() + 60}
print("SEEN: token of 10 s, a new one in the file after 12 s: callback called after", ", ".join(f"{t:.0f} s" for t in calls))
PY
for kind in opaque jwt; do
    rm -f url issued
    node issuer.mjs "$kind" > /dev/null 2>&1 & N=$!
    for _ in $(seq 100); do [ -e url ] && break; sleep 0.1; done
    v/bin/python oidc.py "$kind" 2> /dev/null
    kill "$N"; wait "$N" 2> /dev/null || :
    N=
done > seen
v/bin/python callback.py >> seen 2> /dev/null
cat seen
diff -u - seen <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: issuer's answer, opaque: expires_in 60, 1 part(s); token refused
SEEN: issuer's answer, jwt: expires_in 60, 3 part(s); token taken, brokers asked
SEEN: token of 10 s, a new one in the file after 12 s: callback called after 0 s, 8 s, 10 s, 20 s
END
