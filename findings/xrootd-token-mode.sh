#!/bin/bash
# An XRootD client takes its token from the file that BEARER_TOKEN_FILE names (WLCG bearer token discovery), from a server
# that wants tokens (ztn). The file is shared with the job's group, as for other readers.
#
# Guess: a token file that the client can read is used, as by other readers of that convention. What is wrong with a file
#        is said. The server looks at exp and at the claims of a scope, like other verifiers.
#
# Seen 2026-11-28 with xrootd 6.2.1 (PyPI) and xrdfs 5.5.3 of Debian 12, against Debian's xrootd-server 5.5.3-1:
#   - a file with any bit for the group or for others is not used, not even one of execution; nothing is sent. 0400 and
#     0600 are. Both clients say only "Auth failed: No protocols left to try"; the reason comes with XRD_LOGLEVEL=Debug.
#   - a token without `iat` is refused by the server: "'iat' claim is mandatory".
#   - a newline at the end of the file does no harm.
#
# For users of renewd: an output for XRootD has mode 0600 (or 0400) and belongs to the user that runs the client; sharing
# by group, or an access list (its mask stands in the group's bits), does not do. Leave `iat` in.
set -eu
T=$(mktemp -d)
S=
trap '[ -z "$S" ] || { kill "$S"; wait "$S" || :; } 2>/dev/null; rm -rf "$T"' EXIT
cd "$T"
apt-get download xrootd-server=5.5.3-1 xrootd-server-plugins=5.5.3-1 xrootd-plugins=5.5.3-1 xrootd-scitokens-plugins=5.5.3-1 \
    xrootd-client=5.5.3-1 libxrdserver3=5.5.3-1 libxrdutils3=5.5.3-1 libxrdcl3=5.5.3-1 libxrdcrypto2=5.5.3-1 libxrdcryptolite2=5.5.3-1 \
    libxrdxml3=5.5.3-1 libxrdapputils2=5.5.3-1 libxrdhttputils2=5.5.3-1 libscitokens0=0.7.3-1+b1 libtinyxml2.6.2v5=2.6.2-6+deb12u1 > /dev/null 2>&1
for d in *.deb; do dpkg -x "$d" .; done
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install xrootd==6.2.1 PyJWT==2.15.1
mkdir data admin ca
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 2 2> /dev/null
cp cert.pem "ca/$(openssl x509 -hash -noout -in cert.pem).0"
touch data/x
PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > server.cfg <<END
xrd.port $PORT
xrd.network nodnr
all.export /
oss.localroot $T/data
all.adminpath $T/admin
all.pidpath $T/admin
xrd.tls $T/cert.pem $T/key.pem
xrd.tlsca noverify
xrootd.tls capable all
xrootd.seclib libXrdSec.so
sec.protocol ztn -tokenlib libXrdAccSciTokens.so
sec.protbind * only ztn
ofs.authorize 1
ofs.authlib libXrdAccSciTokens.so config=$T/issuers.cfg
END
printf '[Global]\naudience = jobs\n[Issuer one]\nissuer = https://localhost:1\nbase_path = /\n' > issuers.cfg
AS=
if [ "$(id -u)" = 0 ]; then      # the server refuses to run as root
    chmod 755 .
    chown -R nobody data admin key.pem
    AS="-R nobody"
fi
LD_LIBRARY_PATH=$T/usr/lib/x86_64-linux-gnu usr/bin/xrootd $AS -c server.cfg > log 2>&1 & S=$!
for _ in $(seq 150); do grep -q "initialization completed" log && python3 -c "import socket; socket.create_connection(('127.0.0.1', $PORT), 1)" 2> /dev/null && break; sleep 0.1; done

cat > stat.py <<'PY'
import sys
from XRootD import client
status, _ = client.FileSystem(f"roots://localhost:{sys.argv[1]}").stat("/x", timeout=20)
print(status.message)
PY
cat > run.py <<'PY'
import os, subprocess, sys, time
import jwt
port = sys.argv[1]
lib = os.path.abspath("usr/lib/x86_64-linux-gnu")
common = dict(os.environ, BEARER_TOKEN_FILE=os.path.abspath("token"), X509_CERT_DIR=os.path.abspath("ca"))
clients = {"xrootd 6.2.1": (["v/bin/python", "stat.py", port], common),
           "xrdfs 5.5.3": (["usr/bin/xrdfs", f"roots://localhost:{port}", "stat", "/x"], dict(common, LD_LIBRARY_PATH=lib))}

def ask(what, mode, **claims):
    now = int(time.time())
    body = {"iss": "https://localhost:1", "iat": now, "exp": now + 600, "aud": "jobs", "scope": "storage.read:/", **claims}
    with open("token.new", "w") as f:       # signed with a key that the server does not know: it says why it refuses
        f.write(jwt.encode({k: v for k, v in body.items() if v}, "example-secret-of-at-least-32-bytes-0123456789", "HS256") + "\n")
    os.chmod("token.new", mode)
    os.rename("token.new", "token")
    for name, (command, env) in clients.items():
        before = os.path.getsize("log")
        said = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
        with open("log") as f:
            f.seek(before)
            log = f.read()
        reached = "sent" if "scitokens_Validate" in log else "not sent"
        iat = ", server: iat is mandatory" if "'iat' claim is mandatory" in log else ""
        silent = "" if "permission" in said.stdout + said.stderr else ", client does not say why"
        print(f"SEEN: {what}: {name}: token {reached}{iat or (silent if reached != 'sent' else '')}", flush=True)

for mode in (0o600, 0o400, 0o640, 0o440, 0o604, 0o610):
    ask(f"mode {mode:04o}", mode)
ask("mode 0600, no iat", 0o600, iat=None)
PY
v/bin/python run.py "$PORT" | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-28"; exit 1; }
SEEN: mode 0600: xrootd 6.2.1: token sent
SEEN: mode 0600: xrdfs 5.5.3: token sent
SEEN: mode 0400: xrootd 6.2.1: token sent
SEEN: mode 0400: xrdfs 5.5.3: token sent
SEEN: mode 0640: xrootd 6.2.1: token not sent, client does not say why
SEEN: mode 0640: xrdfs 5.5.3: token not sent, client does not say why
SEEN: mode 0440: xrootd 6.2.1: token not sent, client does not say why
SEEN: mode 0440: xrdfs 5.5.3: token not sent, client does not say why
SEEN: mode 0604: xrootd 6.2.1: token not sent, client does not say why
SEEN: mode 0604: xrdfs 5.5.3: token not sent, client does not say why
SEEN: mode 0610: xrootd 6.2.1: token not sent, client does not say why
SEEN: mode 0610: xrdfs 5.5.3: token not sent, client does not say why
SEEN: mode 0600, no iat: xrootd 6.2.1: token sent, server: iat is mandatory
SEEN: mode 0600, no iat: xrdfs 5.5.3: token sent, server: iat is mandatory
END
