"""Owns: following the pages that need a real systemd: installing, reloading, upgrading, credentials, and the README's real use.

Here the services of the page run, and not a daemon of the test's own.
"""
import os
import re

from follow import holds, page
from host import SECRET, expect
from world import claims

CHECK_UNIT = "/etc/systemd/system/page@.service"


def clone(reader):
    """root stands in a clone of the repository, where the program has been built."""
    reader.host.folders["root"] = str(reader.host.clone)


def edited(reader, command):
    """`systemctl edit`, which starts for nobody without a terminal."""
    code, said = reader.host.run(command, "root", tty=True)
    expect(code == 0, f"{command}: {code}\n{said}")


@page("README.md", systemd=True)
def readme(reader):
    host, world = reader.host, reader.world()
    clone(reader)
    reader.types(SECRET)
    reader.do()
    expect(host.sh("stat -c %U:%G:%a /etc/renewd/sunbird.secret").strip() == "root:renewd:640", host.sh("ls -l /etc/renewd"))
    reader.config()
    said = reader.do()
    expect("sunbird" in said and "valid" in said, said)
    reader.cron()
    expect("orders" in holds("/var/lib/orders/new.json") and world.asked("api.example", "/orders"), "cron's job has fetched nothing")
    # "To change the credential, write the new secret to its file": in place at once.
    was = holds("/run/renewd/sunbird.header")
    host.write("/etc/renewd/sunbird.secret", "another-" + SECRET, 0o640, "renewd")
    host.until("! grep -qxF '%s' /run/renewd/sunbird.header" % was.strip(), 10)


@page("how-to/install.md", systemd=True)
def install(reader):
    host = reader.host
    clone(reader)
    reader.do()
    host.write(host.clone / "sunbird.secret", SECRET, 0o600)
    reader.do()
    reader.config()
    config = holds("/etc/renewd/config.toml")
    reader.do()
    said = reader.do()
    expect("active (running)" in said and "sunbird" in said, said)

    # A drop-in is added as the page says.
    was = holds("/run/renewd/sunbird.token")
    host.sh("getent group jobs || groupadd --system jobs; install -D -m 0644 /root/renewd/packaging/systemd/dropins/group.conf /etc/systemd/system/renewd.service.d/group.conf")
    reader.do()
    groups = host.sh("systemctl show -P SupplementaryGroups renewd").strip()
    expect(groups == "jobs" and holds("/run/renewd/sunbird.token") == was, f"{groups}, or another token")

    # Whom the check tells: where a token lives on for less than is wanted, where all is well, where there is no daemon.
    host.write(CHECK_UNIT, "[Service]\nType=oneshot\nExecStart=touch /run/paged\n")
    host.write("/etc/systemd/system/all-is-well@.service", "[Service]\nType=oneshot\nExecStart=touch /run/well\n")
    inis = re.findall(r"```ini\n(.*?)```", reader.text.split("## Hear of it")[1].split("\n## ")[0], re.S)
    expect(len(inis) == 2, inis)
    reader.types(inis[0] + inis[1].replace("10m", "2h"))
    reader.do(tty=True)
    host.sh("systemctl stop renewd-check.timer; rm -f /run/paged; ! systemctl start renewd-check")
    host.until("test -e /run/paged")
    expect("status=75" in host.sh("systemctl status renewd-check || true"), "it was not the wait that failed")
    host.sh("rm -f /run/paged; sed -i s/2h/10m/ /etc/systemd/system/renewd-check.service.d/override.conf; systemctl daemon-reload; systemctl start renewd-check")
    host.until("test -e /run/well")
    expect(not os.path.exists("/run/paged"), "it pages though all is well")
    host.sh("systemctl stop renewd; ! systemctl start renewd-check")
    host.until("test -e /run/paged")
    host.sh("systemctl disable renewd-check.timer 2>/dev/null; rm -rf /etc/systemd/system/renewd-check.service.d; systemctl daemon-reload; systemctl start renewd")

    # Runs of a timer in the place of the daemon; then the daemon again, which keeps what they made.
    was = holds("/run/renewd/sunbird.token")
    reader.do()
    expect(holds("/run/renewd/sunbird.token") == was, "the runs do not keep the daemon's token")
    expect("active" in host.sh("systemctl is-active renewd-once.timer"), "the timer does not run")
    host.sh("systemctl disable --now renewd-once.timer 2>/dev/null; systemctl start renewd")
    expect(holds("/run/renewd/sunbird.token") == was, "the daemon does not keep the token of the runs")

    # A second daemon.
    prod = reader.shown("toml") + config.replace("/run/renewd/", "/run/renewd-prod/")
    host.write("/etc/renewd/prod.toml", prod, 0o640, "renewd")
    said = reader.do()
    expect("valid" in said and claims(holds("/run/renewd-prod/sunbird.token"))["iss"] == "398e54e888da42f8d089", said)
    host.sh("systemctl disable --now renewd@prod 2>/dev/null; rm -rf /run/renewd-prod /var/lib/renewd-prod")

    # One of a user's own.
    own = config.replace("/etc/renewd/sunbird.secret", "sunbird.secret").replace("/run/renewd/", "$XDG_RUNTIME_DIR/renewd/")
    host.write("/home/alice/.config/renewd/config.toml", own)
    host.write("/home/alice/.config/renewd/sunbird.secret", SECRET, 0o600)
    host.sh("chown -R alice /home/alice/.config; mkdir -p /usr/lib/systemd/user; cp /root/renewd/packaging/systemd/user/renewd.service /usr/lib/systemd/user/; loginctl enable-linger alice")
    host.until("test -S /run/user/$(id -u alice)/systemd/private")
    said = reader.do()
    expect("valid" in said and str(host.sh("id -u alice").strip()) in host.sh("ls -d /run/user/*/renewd/sunbird.token"), said)
    host.run("systemctl --user disable --now renewd", "alice")
    host.sh("loginctl disable-linger alice")

    said = reader.do()
    expect("token sunbird is renewed" in said, said)
    host.sh("systemctl kill -s USR1 renewd")
    host.until("journalctl -u renewd -o cat -n 5 | grep -q 'token sunbird: valid'")
    host.sh("systemctl disable --now renewd 2>/dev/null")


def running(reader):
    """renewd with one token, as the page on installing leaves it."""
    reader.host.install()
    reader.host.write("/etc/renewd/api.secret", SECRET, 0o640, "renewd")
    reader.host.write("/etc/renewd/config.toml", """
        [token.api]
        source = "jwt"
        algorithm = "HS256"
        key = "my-key"
        secret.file = "api.secret"
        output = [{ format = "token", path = "/run/renewd/api.token" }]
        """, 0o640, "renewd")
    reader.host.sh("systemctl daemon-reload; systemctl start renewd")


@page("how-to/reload.md", systemd=True)
def reload(reader):
    host = reader.host
    running(reader)
    config = holds("/etc/renewd/config.toml")
    reader.do()
    # A mistake: the command fails and the old config runs on.
    host.write("/etc/renewd/config.toml", config.replace("key =", "kee ="), 0o640, "renewd")
    code, said = host.run("renewd check", "root")
    expect(code == 78 and "kee" in said, said)
    code, said = host.run("systemctl reload renewd", "root")
    expect(code != 0, said)
    code, said = host.run("renewd reload", "root")
    expect(code == 78 and "kee" in said, said)
    for command in ("systemctl status renewd", "renewd status", "journalctl -u renewd -o cat -n 20"):
        expect("kee" in host.run(command, "root")[1], f"{command} does not tell of the mistake")
    host.write("/etc/renewd/config.toml", "", 0o640, "renewd")
    expect(host.run("renewd reload", "root")[0] == 78, "an empty file is taken")
    host.write("/etc/renewd/config.toml", config, 0o640, "renewd")
    reader.do()
    expect('"$schema"' in holds("/home/alice/renewd.schema.json"), "no schema")


@page("how-to/upgrade.md", systemd=True)
def upgrade(reader):
    host = reader.host
    running(reader)
    clone(reader)
    was = holds("/run/renewd/api.token"), host.sh("systemctl show -P MainPID renewd")
    reader.do()
    now = holds("/run/renewd/api.token"), host.sh("systemctl show -P MainPID renewd")
    expect(was[0] == now[0] and was[1] != now[1], "it was not restarted, or has another token")
    said = reader.do()
    expect("valid" in said and "stopped; the tokens stay" in said, said)


@page("how-to/secrets.md", systemd=True)
def secrets(reader):
    host = reader.host
    running(reader)
    printed = reader.do(SECRET=SECRET.strip())
    expect(claims(printed)["iss"] == "my-key", printed)

    # A secret is put in place and replaced while the daemon runs.
    for typed in ("", "pasted-" + SECRET):
        was = holds("/run/renewd/api.token")
        host.write("/root/new.secret", "new-" + SECRET, 0o600)
        reader.do(stdin=typed)
        host.until(f"test \"$(cat /run/renewd/api.token)\" != '{was}'", 15)
        code, said = host.run("renewd inspect - --secret-file /etc/renewd/api.secret < /run/renewd/api.token", "root")
        expect(code == 0 and "valid" in said, said)
        expect(host.sh("stat -c %U:%G:%a /etc/renewd/api.secret").strip() == "root:renewd:640", "owner or mode is another")

    # A credential that systemd decrypts for the unit.
    host.write("/root/sunbird.secret", SECRET, 0o600)
    reader.do()
    expect(SECRET.strip() not in holds("/etc/renewd/sunbird.cred"), "it is not encrypted")
    reader.types(reader.shown("ini"))
    edited(reader, "systemctl edit renewd")
    config = holds("/etc/renewd/config.toml") + holds("/etc/renewd/config.toml").replace("api", "cred").replace('secret.file = "cred.secret"', 'secret.credential = "sunbird"')
    host.write("/etc/renewd/config.toml", config, 0o640, "renewd")
    reader.do()
    code, said = host.run("renewd inspect - --secret-file sunbird.secret < /run/renewd/cred.token", "root")
    expect(code == 0 and "valid" in said, said)
