"""The credential socket with the real service manager at its other end: who reads what, when, and what the log tells."""
from frame import case, expect, secret, signed

A, B = secret("credential-a"), secret("credential-b")
SOCKET = "/run/renewd/credentials.sock"
CONFIG = f"""
[daemon]
ready_timeout = "2s"
credential_socket = "{SOCKET}"
credential_timeout = "15s"
""" + signed("a", 'units = ["cred-job.service", "cred-batch@*.service", "cred-dynamic.service"]')
LATE = CONFIG + signed("late", "required = false", 'units = ["cred-late.service"]', secret='secret.file = "late.secret"', outputs={})


def job(credential="a", more=""):
    """A unit that keeps what it finds in its credential."""
    return f"""[Service]
Type=oneshot
LoadCredential={credential}:{SOCKET}
StandardOutput=truncate:/run/%N.out
ExecStart=cat %d/{credential}
{more}
"""


def units(**jobs):
    return {f"/run/systemd/system/cred-{name.replace('_at', '@')}.service": text for name, text in jobs.items()}


READ = """
outcome() { systemctl start "$1" || true; printf '%s ' "$1"; wc -c < "/run/$2.out"; }
same() { cmp -s /run/renewd/a.token "/run/$1.out" && echo "$1 same"; }
"""


@case("a unit, a template, a DynamicUser and nobody else read the token from the credential socket")
def who(guest):
    guest.begin(CONFIG, {"a.secret": A}, files=units(
        job=job(), batch_at=job(), dynamic=job(more="DynamicUser=yes"), other=job()))
    out = guest.sh(READ + f"""
        outcome cred-job.service cred-job; same cred-job
        outcome cred-batch@seven.service cred-batch@seven; same cred-batch@seven
        outcome cred-dynamic.service cred-dynamic; same cred-dynamic
        outcome cred-other.service cred-other
        python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("{SOCKET}"); print("client", len(s.recv(99)))'
        stat -c '%a %U' {SOCKET}""")
    for line in ["cred-job same", "cred-batch@seven same", "cred-dynamic same", "cred-other.service 0", "client 0", "600 renewd"]:
        expect(line in out.splitlines(), f"{line}: {out}")
    log = guest.journal()
    for line in ["token a for unit `cred-job.service`: handed over", "token a for unit `cred-batch@seven.service`: handed over",
                 "token a for unit `cred-dynamic.service`: handed over",
                 "credential `a` for unit `cred-other.service`: refused: the unit is not among `units`",
                 "refused: the client is not a service manager"]:
        expect(log.count(line) == 1, f"{line}: {log}")
    return "3 units the token, 2 clients nothing, one line each"


@case("a unit that starts before renewd has its token waits for it; one that waits in vain fails by its own test")
def early(guest):
    check = f"ExecStartPre=test -s %d/late"
    guest.begin(LATE, {"a.secret": A}, files=units(late=job("late", check)))
    out = guest.sh("""
        systemctl start --no-block cred-late.service
        until systemctl show -P ActiveState cred-late.service | grep -q activating; do sleep 0.1; done
        install -m 0640 -g renewd /dev/stdin /etc/renewd/late.secret <<'END'
%s
END
        until systemctl show -P ActiveState cred-late.service | grep -qv activating; do sleep 0.1; done
        systemctl show -P Result cred-late.service; wc -c < /run/cred-late.out
        rm /etc/renewd/late.secret; renewd status --json late | grep -c '"state":"valid"' || true""" % B)
    result = out.split()
    expect(result[0] == "success" and int(result[1]) > 50, out)
    guest.begin(LATE.replace("15s", "1s"), {"a.secret": A}, files=units(late=job("late", check)))
    out = guest.sh("systemctl start cred-late.service && echo started || systemctl show -P Result cred-late.service")
    expect(out.split()[-1] == "exit-code", out)
    log = guest.journal()
    expect("token late for unit `cred-late.service`: refused, the unit gets an empty credential" in log, log)
    return "waited for and read; in vain: refused after credential_timeout, and told"


@case("the socket that systemd holds: a job that starts first starts renewd, and a restart refuses nobody")
def activated(guest):
    config = CONFIG.replace(f'credential_socket = "{SOCKET}"\n', "")
    guest.begin(config, {"a.secret": A}, files=units(job=job()), start=False)
    out = guest.sh(READ + """
        systemctl start renewd.socket
        systemctl is-active renewd.service || true
        outcome cred-job.service cred-job; same cred-job
        systemctl is-active renewd.service
        (for i in 1 2 3; do systemctl restart renewd.service; done) & restarts=$!
        for i in 1 2 3 4 5 6; do systemctl start cred-job.service; [ -s /run/cred-job.out ] || echo EMPTY; done
        wait $restarts
        stat -c '%U %a' /run/renewd
        systemctl stop renewd.service renewd.socket""")
    lines = out.splitlines()
    expect(lines[0] == "inactive" and "cred-job same" in lines and "active" in lines, out)
    expect("EMPTY" not in out, out)
    expect("renewd 755" in lines, f"the folder is not renewd's: {out}")
    return "activated by the first job; 6 jobs across 3 restarts, none refused"


@case("a hook that restarts a unit which reads from renewd does not deadlock")
def hook(guest):
    hooked = CONFIG + """
[token.a.after_rotate]
command = ["systemctl", "restart", "cred-job.service"]
timeout = "40s"
"""
    guest.begin(hooked, {"a.secret": A}, dropin="[Service]\nUser=root\n", files=units(job=job()))
    took = guest.until("cmp -s /run/renewd/a.token /run/cred-job.out", 40)
    guest.sh("renewd rotate --force")
    guest.until("cmp -s /run/renewd/a.token /run/cred-job.out", 40)
    log = guest.journal()
    expect("time" not in "".join(line for line in log.splitlines() if "after_rotate" in line), log)
    return f"the unit had the new token {took:.0f} s after the start"


@case("it serves with PrivateUsers= on renewd's side")
def private_users(guest):
    guest.begin(CONFIG, {"a.secret": A}, dropin="[Service]\nPrivateUsers=yes\n", files=units(job=job()))
    out = guest.sh(READ + "outcome cred-job.service cred-job; same cred-job")
    expect("cred-job same" in out, out + guest.journal())
    return "handed over"
