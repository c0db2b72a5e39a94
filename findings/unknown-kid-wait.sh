#!/bin/bash
# A signing key is replaced: tokens carry a new `kid`, and the key is in the published set. When does a verifier that
# fetches the set by HTTP take the new tokens?
#
# Guess: a verifier that meets a `kid` it does not know fetches the set at once, so the order "publish, then sign" is
#        enough, and a token that came a moment before its key is taken as soon as the key is there.
#
# Seen 2026-11-27 with jose 6.2.18 (npm), jwks-rsa 4.1.0 (npm), PyJWT 2.10.1 and 2.15.1:
#   - jose: no second fetch within 30 s of the last one. One token that is ahead of its key makes a fetch, and every
#     token of the new key is refused for the 30 s after it, though the key is published by then.
#   - PyJWT 2.15.1 has such a pause of 30 s too. 2.10.1 had none: an upgrade of the verifier brings it.
#   - jwks-rsa fetches for each unknown kid.
#
# For users of renewd: a new private key is used within a second after its file was replaced. Have the new public key
# in the set of the verifiers first, beside the old one, and wait longer than 30 seconds before the key file is replaced.
set -eu
T=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || :; rm -rf "$T"' EXIT
cd "$T"
for v in 2.10.1 2.15.1; do
    python3 -m venv "v$v"
    "v$v/bin/pip" -q --disable-pip-version-check install "PyJWT==$v" cryptography==50.0.2
done
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund jose@6.2.18 jwks-rsa@4.1.0

# Each verifier does the same: a token of k1 (fetches the set); k2 signs before its key is published, then it is
# published, and a token of k2 is tried each half second until it is taken.
cat > run.mjs <<'JS'
import * as jose from 'jose'
import jwksRsa from 'jwks-rsa'
import http from 'node:http'
let keys = []
const server = http.createServer((_, answer) => {
  answer.setHeader('Content-Type', 'application/json')
  answer.end(JSON.stringify({ keys }))
})
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const url = `http://127.0.0.1:${server.address().port}/`
const make = async (kid) => {
  const pair = await jose.generateKeyPair('RS256', { extractable: true })
  const jwk = { ...(await jose.exportJWK(pair.publicKey)), kid, alg: 'RS256', use: 'sig' }
  const sign = () => new jose.SignJWT({}).setProtectedHeader({ alg: 'RS256', kid }).setExpirationTime('5m').sign(pair.privateKey)
  return { jwk, sign }
}
const [k1, k2] = [await make('k1'), await make('k2')]
const remote = jose.createRemoteJWKSet(new URL(url))
const client = jwksRsa({ jwksUri: url })
const verifiers = {
  'jose 6.2.18': (token) => jose.jwtVerify(token, remote),
  'jwks-rsa 4.1.0': async (token) => {
    const key = await client.getSigningKey(jose.decodeProtectedHeader(token).kid)
    return jose.jwtVerify(token, await jose.importSPKI(key.getPublicKey(), 'RS256'))
  },
}
for (const [name, verify] of Object.entries(verifiers)) {
  const takes = async (token) => verify(token).then(() => true, () => false)
  keys = [k1.jwk]
  const first = await takes(await k1.sign())
  const early = await takes(await k2.sign())
  keys = [k1.jwk, k2.jwk]
  const start = Date.now()
  while (!(await takes(await k2.sign())) && Date.now() - start < 60000) await new Promise((r) => setTimeout(r, 500))
  const waited = (Date.now() - start) / 1000
  const when = waited < 2 ? 'at once' : waited > 27 && waited < 33 ? 'after about 30 s' : `after ${waited} s`
  console.log(`SEEN: ${name}: k1 ${first}, k2 unpublished ${early}, k2 published: taken ${when}`)
}
process.exit()
JS
cat > run.py <<'PY'
import http.server, json, threading, time
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

keys = []

class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": keys}).encode())
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = jwt.PyJWKClient(f"http://127.0.0.1:{server.server_port}/")

def make(kid):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return key, dict(jwk, kid=kid, use="sig", alg="RS256")

def takes(key, kid):
    token = jwt.encode({"exp": int(time.time()) + 300}, key, "RS256", headers={"kid": kid})
    try:
        jwt.decode(token, client.get_signing_key_from_jwt(token).key, ["RS256"])
        return "true"
    except jwt.PyJWTError:
        return "false"

(p1, k1), (p2, k2) = make("k1"), make("k2")
keys[:] = [k1]
first, early = takes(p1, "k1"), takes(p2, "k2")
keys[:] = [k1, k2]
start = time.time()
while takes(p2, "k2") == "false" and time.time() - start < 60:
    time.sleep(0.5)
waited = time.time() - start
when = "at once" if waited < 2 else "after about 30 s" if 27 < waited < 33 else f"after {waited} s"
print(f"SEEN: PyJWT {jwt.__version__}: k1 {first}, k2 unpublished {early}, k2 published: taken {when}")
PY
node run.mjs > js & JS=$!
v2.10.1/bin/python run.py > py1
v2.15.1/bin/python run.py > py2
wait "$JS"
cat js py1 py2 | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: jose 6.2.18: k1 true, k2 unpublished false, k2 published: taken after about 30 s
SEEN: jwks-rsa 4.1.0: k1 true, k2 unpublished false, k2 published: taken at once
SEEN: PyJWT 2.10.1: k1 true, k2 unpublished false, k2 published: taken at once
SEEN: PyJWT 2.15.1: k1 true, k2 unpublished false, k2 published: taken after about 30 s
END
