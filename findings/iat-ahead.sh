#!/bin/bash
# A token signed on a host whose clock is three seconds ahead of the verifier's: `iat` lies in the future, exp is far.
#
# Guess: verifiers do not compare `iat` with their clock (RFC 7519 has no such rule for it, only for nbf and exp), or
#        forgive some seconds, since two hosts never agree to the second.
#
# Seen 2026-11-27 with PyJWT 2.15.1, joserfc 1.8.0, python-jose 3.5.0, jwcrypto 1.6.1 (PyPI), jose 6.2.18,
# jsonwebtoken 9.0.3, fast-jwt 6.3.6 (npm), each with its defaults:
#   - PyJWT and joserfc refuse the token until its iat has come, without any leeway.
#   - the other five take it, also with an iat ten minutes ahead.
#   - jwcrypto takes a token 30 s after its exp too (a leeway of 60 s); the other six do not.
#
# For users of renewd: a new token is refused by some verifiers for as long as this host's clock is ahead of theirs,
# right after each rotation and not later, so it looks like chance. `skew = "30s"` backdates iat.
set -eu
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install PyJWT==2.15.1 joserfc==1.8.0 python-jose==3.5.0 jwcrypto==1.6.1
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund jose@6.2.18 jsonwebtoken@9.0.3 fast-jwt@6.3.6

cat > run.mjs <<'JS'
import * as jose from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import { createVerifier } from 'fast-jwt'
const [secret, ...tokens] = process.argv.slice(2)
const key = Buffer.from(secret)
const fast = createVerifier({ key })
const all = {
  jose: (t) => jose.jwtVerify(t, key),
  jsonwebtoken: async (t) => jsonwebtoken.verify(t, key),
  'fast-jwt': async (t) => fast(t),
}
const out = {}
for (const [name, verify] of Object.entries(all)) {
  out[name] = []
  for (const t of tokens) out[name].push(await verify(t).then(() => true, () => false))
}
console.log(JSON.stringify(out))
JS
cat > run.py <<'PY'
import base64, hashlib, hmac, json, subprocess, time
import jwt
from jose import jwt as python_jose
from joserfc import jwk as rfc_jwk, jwt as rfc_jwt
from jwcrypto import jwk as crypto_jwk, jwt as crypto_jwt

secret = "example-secret-of-at-least-32-bytes-0123456789"

def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

def token(iat, exp):     # by hand, so that no library's own idea of a token comes in
    now = int(time.time())
    text = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps({"sub": "job", "iat": now + iat, "exp": now + exp}).encode())
    return text + "." + part(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())

def joserfc(t):
    read = rfc_jwt.decode(t, rfc_jwk.OctKey.import_key(secret), algorithms=["HS256"])
    rfc_jwt.JWTClaimsRegistry().validate(read.claims)

key = crypto_jwk.JWK(kty="oct", k=part(secret.encode()))
all_of = {
    "PyJWT": lambda t: jwt.decode(t, secret, ["HS256"]),
    "joserfc": joserfc,
    "python-jose": lambda t: python_jose.decode(t, secret, algorithms=["HS256"]),
    "jwcrypto": lambda t: crypto_jwt.JWT(jwt=t, key=key, algs=["HS256"]),
}
# iat on time; 3 s ahead; ten minutes ahead; expired 30 s ago.
tokens = [token(0, 300), token(3, 300), token(600, 1200), token(-60, -30)]

def takes(verify, t):
    try:
        verify(t)
        return True
    except Exception:
        return False

result = {name: [takes(verify, t) for t in tokens] for name, verify in all_of.items()}
result.update(json.loads(subprocess.check_output(["node", "run.mjs", secret, *tokens])))
time.sleep(3)
later = {name: takes(verify, tokens[1]) for name, verify in all_of.items()}
for name, (plain, three, ten, dead) in result.items():
    words = [("on time", plain), ("3 s ahead", three), ("10 min ahead", ten), ("30 s after exp", dead)]
    print(f"SEEN: {name}:", ", ".join(f"{w} {'taken' if ok else 'refused'}" for w, ok in words))
print("SEEN: the one that was 3 s ahead, 3 s later:", ", ".join(f"{n} {'taken' if ok else 'refused'}" for n, ok in later.items()))
PY
v/bin/python -W ignore run.py | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: PyJWT: on time taken, 3 s ahead refused, 10 min ahead refused, 30 s after exp refused
SEEN: joserfc: on time taken, 3 s ahead refused, 10 min ahead refused, 30 s after exp refused
SEEN: python-jose: on time taken, 3 s ahead taken, 10 min ahead taken, 30 s after exp refused
SEEN: jwcrypto: on time taken, 3 s ahead taken, 10 min ahead taken, 30 s after exp taken
SEEN: jose: on time taken, 3 s ahead taken, 10 min ahead taken, 30 s after exp refused
SEEN: jsonwebtoken: on time taken, 3 s ahead taken, 10 min ahead taken, 30 s after exp refused
SEEN: fast-jwt: on time taken, 3 s ahead taken, 10 min ahead taken, 30 s after exp refused
SEEN: the one that was 3 s ahead, 3 s later: PyJWT taken, joserfc taken, python-jose taken, jwcrypto taken
END
