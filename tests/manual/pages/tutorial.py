"""Owns: following the tutorial, by an ordinary user, without root and systemd."""
import shutil
import signal
import time

from follow import holds, page

FOLDER = "/home/alice/renewd-tutorial"


@page("tutorial/first-token.md")
def first_token(reader):
    shutil.copy(reader.host.binary, "/usr/local/bin/renewd")
    first = reader.do()
    reader.expect("ok: 1 token, 1 output" in first and "signature: valid" in first and "my-key" in first, first)
    reader.do()
    old = reader.do()
    reader.expect("valid" in old and "my-key" in old, old)
    fresh = reader.do()
    reader.expect(fresh.count(".") == 2 and fresh.strip() != holds(f"{FOLDER}/old.token").strip(), "refresh printed the old token")

    config = reader.shown("toml")
    reader.host.write(f"{FOLDER}/config.toml", config)
    shutil.chown(f"{FOLDER}/config.toml", "alice", "alice")
    reader.stay()
    reader.host.until("renewd wait -c config.toml --timeout 5s", user="alice")
    shown = reader.do()
    reader.expect(shown.strip().splitlines()[-1].count(".") == 2, shown)

    def digest():
        return reader.host.run("renewd status -c config.toml --json", "alice")[1].split('"sha256":')[1].split(",")[0]

    before = digest()
    reader.do()
    reader.expect(digest() != before, "after the rotation it is the same token")

    # Something goes wrong: the daemon says where, and runs on.
    broken = config.replace('lifetime = "30s"', 'lifetme = "30s"')
    reader.host.write(f"{FOLDER}/config.toml", broken)
    reader.host.until("renewd status -c config.toml 2>&1 | grep -q lifetme", user="alice")
    said = reader.do(code=78)
    reader.expect("did you mean" in said and "lifetime" in said, said)
    reader.host.write(f"{FOLDER}/config.toml", config)
    reader.host.until("renewd check -c config.toml && ! renewd status -c config.toml | grep -q lifetme", user="alice")

    before = digest()
    reader.do()
    reader.host.until(f"! renewd status -c config.toml --json | grep -q '{before.strip()}'", seconds=10, user="alice")
    token = holds(f"{FOLDER}/run/jobs.env")
    code, said = reader.host.interrupt()
    # The shell around it is interrupted too.
    reader.expect(code in (0, -signal.SIGINT) and "the tokens stay" in said, f"Ctrl-C: exit code {code}\n{said}")
    reader.expect(holds(f"{FOLDER}/run/jobs.env") == token, "the file did not stay")
    # Started again, it keeps a token that is still good. (It lives for half a minute, so it has to be quick.)
    began = time.monotonic()
    reader.host.start("renewd run -c config.toml", "alice")
    reader.host.until("renewd wait -c config.toml --timeout 5s", user="alice")
    reader.expect(holds(f"{FOLDER}/run/jobs.env") == token or time.monotonic() - began > 10, "the token was not kept")
