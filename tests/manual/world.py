"""Owns: the outside world of the manual's commands, on this machine's loopback: an issuer, APIs, GitHub with its git.

They speak https at port 443 under the names that the manual uses, with a certificate that the machine trusts, and note what
they were asked. A token is taken while it is good, and no longer.
Does not: stand in for what a page itself sets up; that is done by its commands.
"""
import base64
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

NAMES = ["idp.example", "api.example", "portal.example", "kong.example", "kong", "github.com", "api.github.com", "api.push.apple.com",
         "api.appstoreconnect.apple.com", "myorg-myaccount.snowflakecomputing.com"]
LIFETIME = 600


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class World:
    """`requests`: (host, method, path, Authorization) of each one so far. `refresh`: the one refresh token that is good now.
    `secret`: the client secret that the issuer takes; None: any."""

    def __init__(self, repositories=None):
        self.requests, self.issued, self.refresh, self.secret, self.repositories = [], {}, None, None, repositories
        self._trusted()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        for port in (443, 8001):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
            # Whoever breaks off, such as a client that does not trust us, tells it in his own words.
            server.handle_error = lambda *_: None
            if port == 443:
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def _trusted(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir="/run"))
        self.certificate = folder / "server.pem"
        key, cert = folder / "key.pem", folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=the world", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES),
                        "-addext", "basicConstraints=critical,CA:FALSE",
                        "-keyout", key, "-out", cert], check=True, capture_output=True)
        self.certificate.write_text(cert.read_text() + key.read_text())
        bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
        bundle.parent.mkdir(parents=True, exist_ok=True)
        with bundle.open("a") as file:
            file.write(cert.read_text())
        with open("/etc/hosts", "a") as file:
            file.write(f"127.0.0.1 {' '.join(NAMES)}\n")

    def token(self):
        token = base64.urlsafe_b64encode(os.urandom(24)).decode()
        self.issued[token] = time.time() + LIFETIME
        return token

    def is_good(self, token):
        if token in self.issued:
            return self.issued[token] > time.time()
        try:
            told = claims(token)
        except (IndexError, ValueError):
            return False
        # APNs counts from iat and knows no exp.
        return told.get("exp", told.get("iat", 0) + 3600) > time.time()

    def asked(self, host, path=""):
        """The requests to a host, of those whose path begins so."""
        return [request for request in self.requests if request[0] == host and request[2].startswith(path)]

    def _handler(world):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length)
                host = (self.headers.get("Host") or "").split(":")[0]
                authorization = self.headers.get("Authorization") or ""
                world.requests.append((host, self.command, self.path, authorization))
                if host == "idp.example" and self.path == "/oauth2/token":
                    return self.issue()
                if host == "api.github.com":
                    return self.installation()
                if host == "github.com":
                    return self.git(authorization)
                if self.server.server_port == 8001:      # Kong's admin API, which asks for nothing
                    return self.answer(201, {"id": "1"})
                kind, _, token = authorization.partition(" ")
                if kind.lower() == "bearer" and world.is_good(token.strip()):
                    return self.answer(200, {"orders": [1, 2, 3]})
                self.answer(401, {"message": "Unauthorized"})

            do_POST = do_GET

            def issue(self):
                form = {name: values[0] for name, values in urllib.parse.parse_qs(self.body.decode()).items()}
                answer = {"token_type": "Bearer", "expires_in": LIFETIME}
                pair = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
                if world.secret and pair.partition(":")[2] != world.secret:
                    return self.answer(401, {"error": "invalid_client", "error_description": "the secret has expired"})
                if form.get("grant_type") == "refresh_token":
                    if form.get("refresh_token") != world.refresh:
                        world.refresh = None             # taken for theft: the family is revoked (RFC 9700 4.14.2)
                        return self.answer(400, {"error": "invalid_grant", "error_description": "the refresh token is spent"})
                    world.refresh = answer["refresh_token"] = world.token()
                self.answer(200, {**answer, "access_token": world.token()})

            def installation(self):
                kind, _, token = self.headers.get("Authorization", "").partition(" ")
                if kind != "Bearer" or not world.is_good(token):
                    return self.answer(401, {"message": "A JSON web token could not be decoded"})
                if not self.path.endswith("/access_tokens"):
                    return self.answer(200, {"id": 67890})
                until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
                self.answer(201, {"token": world.token(), "expires_at": until})

            def git(self, authorization):
                kind, _, pair = authorization.partition(" ")
                user, _, token = base64.b64decode(pair).decode().partition(":") if kind.lower() == "basic" else ("", "", "")
                if user != "x-access-token" or not world.is_good(token):
                    return self.answer(401, {}, {"WWW-Authenticate": 'Basic realm="GitHub"'})
                path, _, query = self.path.partition("?")
                exec_path = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
                environment = {"GIT_PROJECT_ROOT": str(world.repositories), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                               "REQUEST_METHOD": self.command, "QUERY_STRING": query, "REMOTE_USER": "git",
                               "CONTENT_TYPE": self.headers.get("Content-Type", ""), "PATH": os.environ["PATH"],
                               "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_COUNT": "1",
                               "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
                               "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", "")}
                ran = subprocess.run([f"{exec_path}/git-http-backend"], input=self.body, capture_output=True, env=environment)
                head, _, body = ran.stdout.partition(b"\r\n\r\n")
                fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
                self.answer(int(fields.pop("Status", "200").split()[0]), body, fields)

            def answer(self, status, body, fields=()):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **dict(fields), "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler
