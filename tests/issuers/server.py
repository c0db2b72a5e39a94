"""An authorization server (Authlib) on loopback: who asks, proves itself and is answered is all the package's own. Ours are
its models in memory, a grant for RFC 8693 on its interfaces, and two pages for the tests.

    python server.py CONFIG

CONFIG is JSON: {"clients": [{"id", "secret", "auth", "grants", "scope", "key" (PEM), "algorithm"}]}. Prints its port and that
of the pages, and ends when stdin does. Refresh tokens are single use, and one that is used twice takes its whole family along.

    GET  /-/seen             what was asked of the token endpoint: form, how the client proved itself, status
    POST /-/first?client=ID  a first refresh token, as a login would have given it
"""

import json
import secrets
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

from authlib.oauth2 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin, InvalidRequestError, OAuth2Payload, TokenMixin
from authlib.oauth2.rfc6749.grants import BaseGrant, ClientCredentialsGrant, RefreshTokenGrant, TokenEndpointMixin
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion, JWTBearerGrant
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

# Its own default is three of them.
jws.JWSRegistry.recommended.extend(["HS512", "PS256", "EdDSA"])

METHODS = ["client_secret_basic", "client_secret_post", "client_assertion_jwt", "none"]
KEYS = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
ACCESS_TYPE = "urn:ietf:params:oauth:token-type:access_token"


class Client(ClientMixin):
    def __init__(self, settings):
        self.settings = settings
        self.id = settings["id"]

    def get_client_id(self):
        return self.id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        allowed = self.settings.get("scope", "").split()
        return " ".join(word for word in (scope or "").split() if word in allowed)

    def check_client_secret(self, secret):
        return secrets.compare_digest(self.settings["secret"].encode(), secret.encode())

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.settings["auth"]

    def check_grant_type(self, grant_type):
        return grant_type in self.settings["grants"]

    def key(self):
        if "key" not in self.settings:
            return OctKey.import_key(self.settings["secret"])
        return KEYS[self.settings["algorithm"][:2]].import_key(self.settings["key"])


class Token(TokenMixin):
    def __init__(self, client, scope, family):
        self.client, self.scope, self.family = client, scope, family
        self.spent = False

    def check_client(self, client):
        return client.id == self.client

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return 600

    def is_expired(self):
        return False

    def is_revoked(self):
        return self.spent


class Store:
    """All that a database would hold."""

    def __init__(self, clients):
        self.lock = threading.Lock()
        self.clients = {settings["id"]: Client(settings) for settings in clients}
        self.refresh, self.revoked, self.access, self.jtis, self.seen = {}, set(), {}, set(), []

    def first(self, client):
        text = secrets.token_urlsafe(32)
        self.refresh[text] = Token(client, self.clients[client].settings["scope"], text)
        return text


class Payload(OAuth2Payload):
    def __init__(self, pairs):
        self._data, self._lists = dict(pairs), {}
        for name, value in pairs:
            self._lists.setdefault(name, []).append(value)

    @property
    def data(self):
        return self._data

    @property
    def datalist(self):
        return self._lists


class Request(OAuth2Request):
    def __init__(self, uri, headers, pairs):
        super().__init__("POST", uri, headers=headers)
        self.payload = Payload(pairs)

    @property
    def args(self):
        return {}

    @property
    def form(self):
        return self.payload.data


class Server(AuthorizationServer):
    store = None

    def query_client(self, client_id):
        return self.store.clients.get(client_id)

    def save_token(self, token, request):
        self.store.access[token["access_token"]] = request.client.id
        if "refresh_token" in token:
            used = request.refresh_token
            self.store.refresh[token["refresh_token"]] = Token(request.client.id, used.scope, used.family)

    def create_oauth2_request(self, request):
        return request

    def handle_response(self, status, body, headers):
        return status, body, headers

    def send_signal(self, name, *args, **kwargs):
        pass


class Credentials(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


class Refresh(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, text):
        token = self.server.store.refresh.get(text)
        if token is None or token.family in self.server.store.revoked:
            return None
        if token.spent:
            self.server.store.revoked.add(token.family)
            return None
        return token

    def authenticate_user(self, token):
        return "robot"

    def revoke_old_credential(self, token):
        token.spent = True


class Bearer(JWTBearerGrant):
    def resolve_issuer_client(self, issuer):
        return self.server.query_client(issuer)

    def resolve_client_public_key(self, client):
        return client.key()

    def authenticate_user(self, subject):
        return subject

    def get_audiences(self):
        return [self.server.token_url]

    def has_granted_permission(self, client, user):
        return user in (client.id, "robot")


class Exchange(BaseGrant, TokenEndpointMixin):
    GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def validate_token_request(self):
        self.request.client = self.authenticate_token_endpoint_client()
        form = self.request.form
        if form.get("subject_token_type") != ACCESS_TYPE or form.get("subject_token") not in self.server.store.access:
            raise InvalidRequestError("subject_token is not valid")

    def create_token_response(self):
        token = self.generate_token(scope=self.request.payload.scope, include_refresh_token=False)
        token["issued_token_type"] = ACCESS_TYPE
        self.save_token(token)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class Assertion(JWTBearerClientAssertion):
    def __init__(self, server):
        super().__init__()
        self.server = server

    def get_audiences(self):
        return [self.server.token_url]

    def validate_jti(self, claims, jti):
        fresh = jti not in self.server.store.jtis
        self.server.store.jtis.add(jti)
        return fresh

    def resolve_client_public_key(self, client):
        return client.key()


def start(config):
    server = Server()
    server.store = Store(config["clients"])
    server.register_token_generator(
        "default",
        BearerTokenGenerator(
            lambda *_, **__: secrets.token_urlsafe(32), lambda *_, **__: secrets.token_urlsafe(32), lambda *_: 600
        ),
    )
    for grant in (Credentials, Refresh, Bearer, Exchange):
        server.register_grant(grant)
    server.register_client_auth_method(Assertion.CLIENT_AUTH_METHOD, Assertion(server))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, body, headers=()):
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(text)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self):
            if self.path == "/-/seen":
                return self.answer(200, {"token": server.store.seen})
            # RFC 8414 3: the issuer's path comes behind the well-known part.
            if self.path == "/.well-known/oauth-authorization-server/tenant":
                return self.answer(200, {"issuer": server.issuer, "token_endpoint": server.token_url})
            return self.answer(404, {"error": "not_found"})

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            at = urlsplit(self.path)
            with server.store.lock:
                if at.path == "/-/first":
                    return self.answer(200, {"refresh_token": server.store.first(parse_qs(at.query)["client"][0])})
                pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
                request = Request(server.token_url, self.headers, pairs)
                status, answer, headers = server.create_token_response(request)
                server.store.seen.append(
                    {
                        "form": pairs,
                        "client": request.client.id if request.client else None,
                        "method": getattr(request, "auth_method", None),
                        "status": status,
                        "at": time.time(),
                    }
                )
            self.answer(status, answer, headers)

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.issuer = f"http://127.0.0.1:{listener.server_port}/tenant"
    server.token_url = f"{server.issuer}/token"
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    return listener.server_port


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        port = start(json.load(file))
    # The pages stand at the same port.
    print(port, port, flush=True)
    sys.stdin.read()
