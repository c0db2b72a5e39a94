#!/bin/bash
# A container registry (docker-registry of Debian 12) takes tokens that are signed on the host. Its config has one
# certificate (rootcertbundle) and an issuer.
#
# Guess: with one certificate the `kid` is of no matter, or it is the RFC 7638 thumbprint. Claims are what RFC 7519
#        says: aud may be a list, numbers may have a fraction.
#
# Seen 2026-11-27 with docker-registry 2.8.2+ds1-1:
#   - without kid, with a name or with the RFC 7638 thumbprint: 401 invalid_token. It wants a form of its own, 240 bits
#     of the SHA-256 of the public key's DER, in base32, in groups of four. Or an `x5c` header with the certificate;
#     then kid is of no matter.
#   - aud as a list, a fraction in exp and a number as jti: 401 invalid_token too.
#   - nbf and exp have a leeway of 60 s, iat is not looked at and may be missing.
#
# For users of renewd: `header = { kid = "ABCD:...:WXYZ" }`, made once with
#   openssl pkey -in KEY.pem -pubout -outform DER | openssl dgst -sha256 -binary | head -c 30 | base32 | sed 's/..../&:/g;s/:$//'
# and `aud` as a plain text. The answer does not say what was wrong; the registry's log says "invalid token".
set -eu
T=$(mktemp -d)
R=
trap '[ -z "$R" ] || { kill "$R"; wait "$R" || :; } 2>/dev/null; rm -rf "$T"' EXIT
cd "$T"
apt-get download docker-registry=2.8.2+ds1-1 > /dev/null 2>&1
dpkg -x docker-registry_*.deb .
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install PyJWT==2.15.1 cryptography==50.0.2
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=tokens.example -days 2 2> /dev/null
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > config.yml <<END
version: 0.1
storage: { inmemory: {} }
http: { addr: "127.0.0.1:$PORT" }
auth: { token: { realm: "http://127.0.0.1:1/token", service: registry, issuer: jobs, rootcertbundle: "$T/cert.pem" } }
END
usr/bin/docker-registry serve config.yml > log 2>&1 & R=$!
for _ in $(seq 100); do
    python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)" 2> /dev/null && break
    sleep 0.1
done

cat > run.py <<'PY'
import base64, hashlib, json, subprocess, sys, time, urllib.error, urllib.request
import jwt
key = open("key.pem").read()
own = subprocess.check_output("openssl pkey -in key.pem -pubout -outform DER | openssl dgst -sha256 -binary | head -c 30 |"
                              " base32 | sed 's/..../&:/g;s/:$//'", shell=True, text=True).strip()
public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(jwt.algorithms.RSAAlgorithm(None).prepare_key(key).public_key()))
canonical = json.dumps({"e": public["e"], "kty": "RSA", "n": public["n"]}, separators=(",", ":")).encode()
thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
certificate = "".join(open("cert.pem").read().split("-----")[2].split())

def ask(what, header=None, **claims):
    now = int(time.time())
    body = {"iss": "jobs", "sub": "job", "aud": "registry", "iat": now, "exp": now + 300, "jti": "1",
            "access": [{"type": "repository", "name": "tool", "actions": ["pull"]}]}
    for name, value in claims.items():
        body[name] = value
        if value is None:
            del body[name]
    token = jwt.encode(body, key, "RS256", headers={"kid": own} if header is None else header)
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/v2/tool/tags/list", headers={"Authorization": "Bearer " + token})
    try:
        status = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as e:
        status = e.code
    # The registry is empty: 404 is its answer to a token that it takes.
    print(f"SEEN: {what}: {'taken' if status == 404 else status}")

ask("no kid", {})
ask("kid is a name", {"kid": "k1"})
ask("kid is the RFC 7638 thumbprint", {"kid": thumbprint})
ask("kid in the registry's own form", {"kid": own})
ask("x5c, kid is a name", {"kid": "k1", "x5c": [certificate]})
ask("aud is a list", aud=["registry", "other"])
ask("exp has a fraction", exp=time.time() + 300)
ask("jti is a number", jti=7)
ask("no iat", iat=None)
ask("iat 5 min ahead", iat=int(time.time()) + 300)
ask("nbf 30 s ahead", nbf=int(time.time()) + 30)
ask("nbf 90 s ahead", nbf=int(time.time()) + 90)
ask("exp 30 s ago", exp=int(time.time()) - 30)
ask("exp 90 s ago", exp=int(time.time()) - 90)
PY
v/bin/python run.py "$PORT" | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-27"; exit 1; }
SEEN: no kid: 401
SEEN: kid is a name: 401
SEEN: kid is the RFC 7638 thumbprint: 401
SEEN: kid in the registry's own form: taken
SEEN: x5c, kid is a name: taken
SEEN: aud is a list: 401
SEEN: exp has a fraction: 401
SEEN: jti is a number: 401
SEEN: no iat: taken
SEEN: iat 5 min ahead: taken
SEEN: nbf 30 s ahead: taken
SEEN: nbf 90 s ahead: 401
SEEN: exp 30 s ago: taken
SEEN: exp 90 s ago: 401
END
