"""Who reads the tokens: other users by group and by folder, jobs of cron and of timers, a user's own renewd."""
from frame import case, expect, secret, signed

NAME = "sharing"
A = secret(NAME)
FILE = "/run/renewd/a.token"
FOR_JOBS = 'mode = "0640"\ngroup = "jobs"'
USERS = """
getent group jobs >/dev/null || groupadd --system jobs
getent group others >/dev/null || groupadd --system others
id job >/dev/null 2>&1 || useradd --system -G jobs,others job
id stranger >/dev/null 2>&1 || useradd --system stranger
"""


def readable(guest, user, path):
    return guest.run(f"runuser -u {user} -- cat {path}")[0] == 0


@case("without root: a group by SupplementaryGroups= and a setgid folder let one user read, and not another")
def groups(guest):
    guest.begin(
        signed(outputs={FILE: FOR_JOBS, "/srv/setgid/a.token": 'mode = "0640"'}), {"a.secret": A}, dropin="[Service]\nSupplementaryGroups=jobs\nReadWritePaths=/srv/setgid\n",
        before=USERS + "install -d -o renewd -g others -m 2750 /srv/setgid")
    seen = []
    for _ in range(2):
        seen.append(guest.sh("stat -c '%U:%G %a' /run/renewd/a.token /srv/setgid/a.token; grep ^Cap /proc/$(systemctl show -P MainPID renewd)/status").split("\n"))
        expect(seen[-1][:2] == ["renewd:jobs 640", "renewd:others 640"], seen)
        expect(all(line.split()[1].strip("0") == "" for line in seen[-1][2:] if line), f"it has capabilities: {seen}")
        for path in ("/run/renewd/a.token", "/srv/setgid/a.token"):
            expect(readable(guest, "job", path), f"its user cannot read {path}")
            expect(not readable(guest, "stranger", path), f"a stranger can read {path}")
        guest.sh("renewd rotate")
    return ", ".join(seen[0][:2])


@case("with CAP_CHOWN in a drop-in, `owner =` gives files to another user")
def cap_chown(guest):
    guest.begin(
        signed(outputs={FILE: 'mode = "0400"\nowner = "job"'}), {"a.secret": A}, before=USERS,
        dropin="[Service]\nAmbientCapabilities=CAP_CHOWN\nCapabilityBoundingSet=CAP_CHOWN\n")
    for _ in range(2):
        seen = guest.sh("stat -c '%U:%G %a' /run/renewd/a.token; ls -A /run/renewd").split("\n")
        expect(seen[0].startswith("job:") and seen[0].endswith(" 400"), seen)
        expect(not any(name.startswith(".") for name in seen[1:]), f"left over: {seen}")
        expect(readable(guest, "job", "/run/renewd/a.token") and not readable(guest, "stranger", "/run/renewd/a.token"), seen)
        guest.sh("renewd rotate")
    # A restart keeps what it can no longer read.
    same = guest.sh("sha256sum < /run/renewd/a.token; systemctl restart renewd; sha256sum < /run/renewd/a.token").split()
    expect(same[0] == same[2], "the restart did not keep the token")
    return seen[0]


@case("a job of cron and a job of a timer read the token")
def cron_and_timer(guest):
    work = "python3 /share/guest/tokens.py /run/renewd/a.token"
    guest.begin(
        signed(outputs={FILE: FOR_JOBS}), {"a.secret": A},
        dropin="[Service]\nSupplementaryGroups=jobs\n", before=USERS + "rm -rf /srv/out; install -d -o job /srv/out",
        files={
            "/run/systemd/system/job.service": f"[Unit]\nAfter=renewd.service\n[Service]\nType=oneshot\nUser=job\nExecStart=/bin/sh -c 'exec {work}={NAME} > /srv/out/timer'\n",
            "/run/systemd/system/job.timer": "[Timer]\nOnActiveSec=1s\nAccuracySec=100ms\n",
        })
    guest.write({"/etc/cron.d/job": f"* * * * * job {work}={NAME} > /srv/out/cron 2>&1\n"})
    # cron looks once a minute, begun at its start: start it just before one.
    guest.sh("systemctl stop cron; systemctl start job.timer; date -s @$(( ($(date +%s) / 60 + 1) * 60 - 3 )) >/dev/null; systemctl start cron")
    guest.until("test -s /srv/out/cron && test -s /srv/out/timer", 75)
    out = guest.sh("cat /srv/out/cron /srv/out/timer").splitlines()
    expect(len(out) == 2 and all("good" in line for line in out), out)
    return out[0]


@case("a user's own renewd, by the user unit with lingering")
def user_unit(guest):
    guest.begin(signed(outputs={FILE: 'mode = "0600"'}), {"a.secret": A}, start=False)
    config = signed(outputs={"$XDG_RUNTIME_DIR/renewd/a.token": 'mode = "0600"'})
    guest.sh("id alice >/dev/null 2>&1 || useradd -m alice; install -d -o alice /home/alice/.config /home/alice/.config/renewd")
    guest.write({"/home/alice/.config/renewd/config.toml": config, "/home/alice/.config/renewd/a.secret": (A, 0o600)})
    guest.sh("""
        chown -R alice /home/alice/.config; loginctl enable-linger alice
        test -e /usr/lib/systemd/user/renewd.service""")
    guest.until("test -S /run/user/$(id -u alice)/systemd/private", 30)
    as_user = "runuser -u alice -- env XDG_RUNTIME_DIR=/run/user/$(id -u alice)"
    out = guest.sh(f"""
        {as_user} systemctl --user start renewd
        python3 /share/guest/tokens.py /run/user/$(id -u alice)/renewd/a.token={NAME}
        stat -c '%U %a' /run/user/$(id -u alice)/renewd/a.token
        {as_user} systemctl --user reload renewd
        {as_user} renewd status
        {as_user} systemctl --user stop renewd
        python3 /share/guest/tokens.py /run/user/$(id -u alice)/renewd/a.token={NAME}
        loginctl disable-linger alice""", 90).splitlines()
    expect(out[1] == "alice 600", out)
    return out[0]
