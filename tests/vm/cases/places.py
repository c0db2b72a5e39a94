"""Folders that are missing, late, read-only, or full."""
from frame import case, expect, secret, signed

NAME = "places"
A = secret(NAME)
CONFIG = """
[daemon]
ready_timeout = "{ready}"
[defaults]
retry = {{ max = "2s" }}
""" + signed("a", 'lifetime = "1h"', "{more}", outputs={"{path}": ""})


@case("a folder on a mount that comes late: the token is delivered when it is there")
def late_mount(guest):
    told = []
    for kind, before, dropin in [
        ("the folder is missing at the start", "", "[Service]\nReadWritePaths=-/srv\n"),
        ("the mount point is there", "install -d /srv/late", "[Service]\nReadWritePaths=/srv/late\nNoExecPaths=/srv/late\n"),
    ]:
        guest.begin(CONFIG.format(ready="2s", more="", path="/srv/late/a.token"), {"a.secret": A}, dropin=dropin, before=before)
        first = guest.status()["tokens"]["a"]
        expect(first["state"] == "pending" and "/srv/late" in (first["last_error"] or ""), f"{kind}: {first}")
        guest.sh("mkdir -p /srv/late; mount -t tmpfs -o size=1m,mode=0750,uid=$(id -u renewd) late /srv/late")
        took = guest.until(f"python3 /share/guest/tokens.py /srv/late/a.token={NAME}", 30)
        after = guest.status()["tokens"]["a"]
        expect(after["state"] == "valid" and after["last_error"] is None, f"{kind}: {after}")
        told.append(f"{kind}: {took} s after the mount")
    return "; ".join(told)


@case("an output that the unit's sandbox makes read-only: status and log name ReadWritePaths=")
def read_only(guest):
    guest.begin(CONFIG.format(ready="2s", more="", path="/srv/ro/a.token"), {"a.secret": A}, before="install -d -o renewd /srv/ro")
    error = guest.status()["tokens"]["a"]["last_error"] or ""
    expect("ReadWritePaths=" in error and "/srv/ro" in error, f"status: {error}")
    expect("ReadWritePaths=" in guest.journal(), "the log does not name it")
    guest.write({"/run/systemd/system/renewd.service.d/rw.conf": "[Service]\nReadWritePaths=/srv/ro\n"})
    guest.sh(f"systemctl daemon-reload; systemctl restart renewd; python3 /share/guest/tokens.py /srv/ro/a.token={NAME}")
    return error


@case("a disk that is full: the token in place stays whole, a new one comes with the space, the state follows")
def disk_full(guest):
    guest.begin(
        CONFIG.format(ready="20s", more='rotate_every = "2s"', path="/srv/full/a.token"), {"a.secret": A},
        dropin="[Service]\nReadWritePaths=/srv/full\n",
        before="""
            mkdir -p /srv/full /var/lib/renewd
            mount -t tmpfs -o size=256k,mode=0750,uid=$(id -u renewd) full /srv/full
            rm -f /root/state.img; truncate -s 2M /root/state.img; mke2fs -q -F -m 0 /root/state.img; mount -o loop /root/state.img /var/lib/renewd
            rm -rf /var/lib/renewd/lost+found""")
    guest.read_always({"/srv/full/a.token": NAME}, mode="0600")
    guest.sh("""
        for folder in /srv/full /var/lib/renewd; do dd if=/dev/zero of=$folder/filler bs=64k 2>/dev/null || true
          dd if=/dev/zero of=$folder/filler2 bs=512 2>/dev/null || true; done
        df --output=avail /srv/full /var/lib/renewd""")
    guest.until("""renewd status --json | jq -e '.tokens[0] | .state == "retrying" and .failures >= 2' """, 30, 0.5)
    full = guest.status()["tokens"]["a"]
    expect("space" in full["last_error"], full)
    before = guest.sh("sha256sum < /srv/full/a.token; rm /srv/full/filler*").split()[0]
    took = guest.until(f'test "$(sha256sum < /srv/full/a.token | cut -d" " -f1)" != {before} && renewd status a > /dev/null', 20)
    guest.sh("rm /var/lib/renewd/filler*; sleep 3")
    # With rotation stopped, the state must hold the last token: a restart keeps it.
    guest.sh("sed -i 's/rotate_every = \"2s\"/rotate_every = \"30m\"/' /etc/renewd/config.toml; systemctl reload renewd; renewd rotate")
    kept = guest.sh("sha256sum < /srv/full/a.token; systemctl restart renewd; sha256sum < /srv/full/a.token; ls -A /srv/full").split()
    seen = guest.read_enough()
    expect(not seen["faults"], seen["faults"])
    expect(kept[0] == kept[2], f"the restart did not keep it: {kept}")
    expect(kept[4:] == ["a.token"], f"left over: {kept[4:]}")
    out = guest.journal()
    expect("damaged" not in out and guest.sh("systemctl show -P NRestarts renewd").strip() == "0", out)
    return f"delivered {took} s after there was space; {seen['reads']} reads of {seen['tokens']} tokens; {full['last_error']}"
