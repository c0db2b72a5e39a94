"""Owns: a gateway on loopback that judges tokens as Kong's jwt plugin does, by PyJWT: its order of checks, status codes and messages.

It follows kong/plugins/jwt (handler.lua and jwt_parser.lua) as of Kong 1.x, the line Sunbird's gateway is built on: 401 for what
cannot be read and for exp and nbf, 403 for an unknown key, another algorithm, a bad signature, an exp too far away. No leeway.
argv: one JSON file: {"key_claim_name", "claims_to_verify", "maximum_expiration", "consumers": {key: {"algorithm",
"secret" | "rsa_public_key"}}}. It prints its port, ends with its stdin, and tells at /-/seen (which Kong does not have) what it saw.
Does not: know anything of renewd.
"""

import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ALGORITHMS = {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"}


class Refused(Exception):
    """A status, and the JSON body that goes with it."""

    def __init__(self, status, message=None, errors=None):
        super().__init__(message or errors)
        self.status = status
        self.body = errors or {"message": message}


def is_number(value):
    """As Lua's type() says: null, true and digits in quotes are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Plugin:
    def __init__(self, conf):
        self.conf = conf

    def authenticate(self, authorization):
        """The key and the token that a request is let in with, or Refused."""
        bearer = re.search(r"\s*[Bb]earer\s+(.+)", authorization or "")
        if not bearer:
            raise Refused(401, "Unauthorized")
        token = bearer.group(1)
        header, claims = self.read(token)
        name = self.conf["key_claim_name"]
        key = claims.get(name) or header.get(name)
        if not key:
            raise Refused(401, f"No mandatory '{name}' in claims")
        consumer = self.conf["consumers"].get(key) if isinstance(key, str) else None
        if not consumer:
            raise Refused(403, f"No credentials found for given '{name}'")
        self.verify_signature(token, header, consumer)
        now = int(time.time())
        self.verify_claims(claims, now)
        self.verify_maximum(claims, now)
        return key, token

    def read(self, token):
        try:
            header = jwt.get_unverified_header(token)
            claims = json.loads(jwt.PyJWS().decode(token, options={"verify_signature": False}))
        except (jwt.PyJWTError, ValueError) as error:
            raise Refused(401, "Bad token; invalid JSON") from error
        if header.get("alg") not in ALGORITHMS:
            raise Refused(401, "Bad token; invalid alg")
        if not isinstance(claims, dict):
            raise Refused(401, "Bad token; invalid claims")
        return header, claims

    def verify_signature(self, token, header, consumer):
        algorithm = consumer.get("algorithm", "HS256")
        if header["alg"] != algorithm:
            raise Refused(403, "Invalid algorithm")
        secret = consumer.get("secret" if algorithm.startswith("HS") else "rsa_public_key")
        if not secret:
            raise Refused(403, "Invalid key/secret")
        try:
            jwt.PyJWS(algorithms=[algorithm]).decode(token, secret, algorithms=[algorithm])
        except jwt.PyJWTError as error:
            raise Refused(403, "Invalid signature") from error

    def verify_claims(self, claims, now):
        errors = {}
        for name in self.conf["claims_to_verify"]:
            value = claims.get(name)
            if not is_number(value):
                errors[name] = "must be a number"
            elif name == "nbf" and value > now:
                errors[name] = "token not valid yet"
            elif name == "exp" and value <= now:
                errors[name] = "token expired"
        if errors:
            raise Refused(401, errors=errors)

    def verify_maximum(self, claims, now):
        most = self.conf["maximum_expiration"]
        if most > 0 and ("exp" not in claims or claims["exp"] - now > most):
            raise Refused(403, errors={"exp": "exceeds maximum allowed expiration"})


class Seen:
    """Which tokens were let in, by key, and all refusals."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests, self.tokens, self.refusals = {}, {}, []

    def let_in(self, key, token):
        with self.lock:
            self.requests[key] = self.requests.get(key, 0) + 1
            self.tokens.setdefault(key, set()).add(token)

    def refused(self, refused):
        with self.lock:
            self.refusals.append({"status": refused.status, "body": refused.body})

    def told(self):
        with self.lock:
            tokens = {key: len(tokens) for key, tokens in self.tokens.items()}
            return {"requests": self.requests, "tokens": tokens, "refusals": self.refusals}


def handler(plugin, seen):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/-/seen":
                return self.answer(200, seen.told())
            try:
                key, token = plugin.authenticate(self.headers.get("Authorization"))
            except Refused as refused:
                seen.refused(refused)
                return self.answer(refused.status, refused.body)
            seen.let_in(key, token)
            return self.answer(200, {"consumer": key})

        def answer(self, status, body):
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    return Handler


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plugin = Plugin(json.load(file))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(plugin, Seen()))
    print(server.server_address[1], flush=True)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    server.serve_forever()


main()
