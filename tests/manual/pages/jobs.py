"""Owns: following the pages for jobs: those who read a token, and the files of tools and SDKs."""
import json
import os
import re

from follow import holds, page
from host import SECRET
from world import claims


@page("how-to/jobs.md")
def jobs(reader):
    host, world = reader.host, reader.world()
    host.install(groups=["jobs"])
    host.write("/etc/renewd/api.secret", SECRET, 0o640, "renewd")
    reader.config()
    host.daemon()
    said = reader.do()
    reader.expect("orders" in said and len(world.asked("api.example")) == 1, said)
    reader.expect("good until" in reader.do(), reader.last)

    host.write("/root/long-job", '#!/bin/sh\necho "as $(id -un), with ${API_TOKEN%%.*}"\n', 0o755)
    said = reader.do()
    reader.expect("as root, with ey" in said and "Authorization: Bearer ey" in said, said)
    code, _ = host.run("renewd token api", "orders")
    reader.expect(code != 0, "the job's user got a token from the daemon")

    reader.cron()
    reader.expect("orders" in holds("/var/lib/orders/new.json"), "cron's job has fetched nothing")
    # What `test -r` is for: without it the request goes out, and nothing is said.
    before = len(world.requests)
    os.rename("/run/renewd/api.header", "/run/renewd/away")
    line = next(block.text for block in reader.blocks if block.who == "cron" and "curl" in block.text)
    code, _ = host.cron(line)
    reader.expect(code != 0 and len(world.requests) == before, "without the file the request went out")
    os.rename("/run/renewd/away", "/run/renewd/api.header")

    # Without the daemon; `once` beside it fails and names it.
    code, said = host.cron("@reboot renewd renewd once -c /etc/renewd/config.toml")
    pid = host.behind[-1][0].pid
    reader.expect(code == 1 and str(pid) in said, f"beside the daemon: {code}, {said}")
    host.interrupt()
    host.sh("rm -rf /var/lib/renewd/* /run/renewd/api.* /run/renewd/jobs.env")
    reader.cron()
    reader.expect(claims(holds("/run/renewd/api.token"))["iss"] == "my-key", "cron's once delivered nothing")
    left = host.sh("ls -A /var/lib/renewd; stat -c %U:%G:%a /run/renewd/api.token; ls -A / | grep '^\\.local' || true").split()
    reader.expect("renewd:jobs:640" in left and ".local" not in left and len(left) > 1, f"the state is not where the daemon's is: {left}")

    config = holds("/etc/renewd/config.toml")
    host.write("/etc/renewd/config.toml", '[daemon]\ncontrol_group = "jobs"\n' + config, 0o640, "renewd")
    token = holds("/run/renewd/api.token")
    host.daemon()
    reader.expect(holds("/run/renewd/api.token") == token, "the daemon did not keep the token of cron's once")
    reader.do()
    reader.expect("valid" in reader.do(), reader.last)
    code, said = host.run("renewd rotate", "orders")
    reader.expect(code == 1, f"the job's user may rotate: {said}")
    code, said = host.run("renewd wait api --timeout 1s --min-valid 2h", "orders")
    reader.expect(code == 75, f"wait for more than a token has: {code}, {said}")

    # The template's last newline is kept.
    host.write("/etc/renewd/netrc.tmpl", re.search(r"```jinja\n(.*?)```", reader.text, re.S)[1], 0o640, "renewd")
    template = next(block.text for block in reader.blocks if "netrc.tmpl" in block.text and block.info.startswith("toml"))
    host.write("/etc/renewd/config.toml", template, 0o640, "renewd")
    host.until("test -s /run/renewd/netrc")
    reader.expect(holds("/run/renewd/netrc").endswith("Z\n") and "password ey" in holds("/run/renewd/netrc"), holds("/run/renewd/netrc"))


@page("how-to/federated.md")
def federated(reader):
    host, world = reader.host, reader.world()
    host.install(groups=["jobs"])
    host.write("/etc/renewd/api.secret", SECRET, 0o640, "renewd")
    reader.do()
    reader.do()
    key = json.loads(holds("/root/jwks.json"))["keys"][0]
    reader.expect(key["kid"] == "k1" and len(key["n"]) == 342, key)
    reader.expect(not os.path.exists("/root/app.pem"), "a copy of the key is left")
    reader.config()
    host.daemon()
    token = holds("/run/renewd/aws.token")
    code, said = host.run("renewd inspect - --jwks jwks.json < /run/renewd/aws.token", "root")
    reader.expect(code == 0 and "valid" in said, said)
    reader.expect(claims(token)["aud"] == "sts.amazonaws.com", claims(token))
    said = reader.says("renewd inspect - < /run/renewd/aws.token", "orders")
    reader.expect("sts.amazonaws.com" in said and "orders" in said, said)

    curl = next(block.text for block in reader.blocks if "api.header" in block.text and block.info.startswith("toml"))
    host.write("/etc/renewd/config.toml", curl, 0o640, "renewd")
    host.until("renewd wait api --timeout 5s")
    reader.do()
    reader.expect(world.asked("api.example", "/orders"), "nothing was asked")
