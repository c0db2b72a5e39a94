"""How it starts: READY waits for the tokens, and a config that is wrong is not tried again."""
from frame import case, expect, secret

A = secret("start")
CONFIG = """
[daemon]
ready_timeout = "{ready}"
[token.a]
source = "jwt"
algorithm = "HS256"
key = "a"
secret.file = "a.secret"
[[token.a.output]]
format = "token"
path = "/run/renewd/a.token"
"""


@case("READY waits for a required token until ready_timeout, and says which is missing")
def ready_timeout(guest):
    guest.begin(CONFIG.format(ready="4s"), start=False)
    out = guest.sh("""
        begun=$(cut -d' ' -f1 /proc/uptime); systemctl start renewd; ended=$(cut -d' ' -f1 /proc/uptime)
        echo "$ended $begun" | awk '{ print $1 - $2 }'
        systemctl show -P StatusText renewd; systemctl is-active renewd""").splitlines()
    took = float(out[0])
    expect(4 <= took < 15, f"systemctl start took {took} s with a ready_timeout of 4 s")
    expect("a" in out[1] and "pending" in out[1], f"STATUS does not name the token that is missing: {out[1]}")
    expect(out[2] == "active", out)
    return f"{took} s; STATUS={out[1]}"
