"""Owns: the endpoints at which SDKs exchange our token, over TLS, each in the manner of its cloud: AWS STS, Entra, Google STS.

They believe a token as those do: signature by the key that kid names, iss, aud, times. argv: CERTIFICATE KEY RULE, the
last a file of JSON: keys (a JWK set), issuer, audience. stdout: the port, then a line of JSON for each exchange.
It ends when stdin does.
"""

import datetime
import http.server
import json
import os
import ssl
import sys
import threading
import urllib.parse

import jwt

AWS_ANSWER = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{issued}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>{until}</Expiration></Credentials>
<AssumedRoleUser><Arn>{role}</Arn><AssumedRoleId>r</AssumedRoleId></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


class Issuers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rule = {}
    exchanges = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        tokens = [form[name] for name in ("WebIdentityToken", "client_assertion", "subject_token") if name in form]
        problem = self.problem(tokens)
        Issuers.exchanges += 1
        issued = f"ISSUED{Issuers.exchanges:014}"
        self.say({"path": self.path, "form": form, "token": tokens[0] if tokens else None,
                  "issued": issued, "problem": problem})
        if problem:
            return self.answer(400, "application/json", json.dumps({"error": "invalid_grant", "error_description": problem}))
        if "WebIdentityToken" in form:
            # So soon that the SDK asks again at the next use: it renews what is good for less than ten minutes.
            until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)
            text = AWS_ANSWER.format(issued=issued, until=until.strftime("%Y-%m-%dT%H:%M:%SZ"), role=form["RoleArn"])
            return self.answer(200, "text/xml", text)
        token = {"access_token": issued, "token_type": "Bearer", "expires_in": 60,
                 "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
        return self.answer(200, "application/json", json.dumps(token))

    def problem(self, tokens):
        if len(tokens) != 1:
            return f"{len(tokens)} tokens"
        try:
            key = jwt.PyJWKSet.from_dict(self.rule["keys"])[jwt.get_unverified_header(tokens[0]).get("kid")]
            jwt.decode(tokens[0], key, algorithms=["RS256"], audience=self.rule["audience"],
                       issuer=self.rule["issuer"], options={"require": ["exp", "iat", "sub", "aud", "iss"]})
        except (jwt.PyJWTError, KeyError) as error:
            return f"{type(error).__name__}: {error}"
        return None

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.say({"path": self.path, "form": {}, "token": None, "issued": None, "problem": "nobody asks this here"})
        self.answer(404, "text/plain", "")

    def say(self, exchange):
        print(json.dumps(exchange), flush=True)

    def log_message(self, *_):
        pass


def main():
    certificate, key, rule = sys.argv[1:]
    with open(rule, encoding="utf-8") as file:
        Issuers.rule = json.load(file)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
