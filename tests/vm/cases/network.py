"""The sandbox and the network: the unit as it is shipped forbids it, and says so; the drop-in allows it."""
from frame import REPO, case, expect, secret

CLIENT = secret("network")
CONFIG = """
[defaults]
retry = { initial = "500ms", max = "1s" }
[daemon]
ready_timeout = "3s"
[token.net]
source = "oauth2"
token_url = "http://127.0.0.1:8099/token"
grant = "client_credentials"
client_id = "jobs"
client_secret.file = "net.secret"
[[token.net.output]]
format = "token"
path = "/run/renewd/net.token"
"""
SERVER = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"access_token": "opaque-of-the-server", "token_type": "Bearer", "expires_in": 3600}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
"""


@case("a token from an endpoint: the unit as shipped refuses by name of the drop-in, with the drop-in it is delivered")
def profile(guest):
    guest.begin(CONFIG, {"net.secret": CLIENT}, files={"/root/issuer.py": SERVER},
                before="systemd-run -q --unit=issuer python3 /root/issuer.py")
    refused = guest.status()["tokens"]["net"]
    expect(refused["state"] == "pending" and refused["reason"] == "unreachable", refused)
    expect("network.conf" in refused["last_error"], refused["last_error"])
    dropin = (REPO / "packaging/systemd/dropins/network.conf").read_text()
    guest.write({"/run/systemd/system/renewd.service.d/network.conf": dropin})
    guest.sh("systemctl daemon-reload; systemctl restart renewd")
    took = guest.until("grep -qx opaque-of-the-server /run/renewd/net.token", 30)
    guest.sh("systemctl stop issuer")
    return f"refused: {refused['last_error'][:90]}...; with the drop-in there within {took:.1f} s of the restart"
