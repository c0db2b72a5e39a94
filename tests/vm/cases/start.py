"""How it starts: READY waits for the tokens, and a config that is wrong is not tried again."""
from frame import case, expect, secret, signed

NAME = "start"
A = secret(NAME)
CONFIG = '[daemon]\nready_timeout = "{ready}"\n' + signed()
# The job of a user: it says what it found when it was started. The module is copied: it runs before folders are shared.
JOB = f"""
[Unit]
Wants=renewd.service
After=renewd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 /root/tokens.py /run/renewd/a.token={NAME}
[Install]
WantedBy=multi-user.target
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
    expect("not valid on disk: a" in out[1], f"STATUS does not name the token that is missing: {out[1]}")
    expect(out[2] == "active", out)
    return f"{took} s; STATUS={out[1]}"


@case("a job ordered after it waits while a secret is missing, and finds the token once it is there")
def ready_when_mended(guest):
    guest.begin(CONFIG.format(ready="40s"), files={"/run/systemd/system/job.service": JOB}, start=False)
    out = guest.sh(f"""
        cp /share/guest/tokens.py /root; systemctl start --no-block job; sleep 3
        systemctl show -P ActiveState renewd; systemctl show -P ActiveState job; systemctl show -P StatusText renewd
        (umask 027; printf %s {A} > /etc/renewd/a.tmp; chgrp renewd /etc/renewd/a.tmp; mv /etc/renewd/a.tmp /etc/renewd/a.secret)
        begun=$(cut -d' ' -f1 /proc/uptime); systemctl start job; ended=$(cut -d' ' -f1 /proc/uptime)
        echo "$ended $begun" | awk '{{ print $1 - $2 }}'; journalctl -o cat -u job -n 20""").splitlines()
    expect(out[0] == "activating" and out[1] in ("inactive", "activating"), f"with no token: renewd {out[0]}, job {out[1]}")
    expect(any("a.token: good" in line for line in out), out)
    return f"started {out[3]} s after the secret came"


@case("a config that is wrong ends it with 78 and is not tried again; a crash is")
def exit_78(guest):
    guest.begin(CONFIG.format(ready="4s") + "nonsense = 1\n", {"a.secret": A}, start=False)
    out = guest.sh("""
        systemctl start renewd && echo started
        systemctl show -p ActiveState,SubState,ExecMainStatus,NRestarts renewd; journalctl -o cat -u renewd -n 20""").splitlines()
    expect("started" not in out, "systemctl start succeeded with a broken config")
    expect({"ActiveState=failed", "SubState=failed", "ExecMainStatus=78", "NRestarts=0"} <= set(out), out)
    expect(any("nonsense" in line for line in out), f"the journal does not show the mistake: {out}")
    guest.begin(CONFIG.format(ready="4s"), {"a.secret": A}, dropin="[Service]\nRestartSec=1\n")
    guest.sh("kill -9 $(systemctl show -P MainPID renewd)")
    took = guest.until('[ "$(systemctl show -P NRestarts,SubState renewd | xargs)" = "running 1" ]'
                       ' || [ "$(systemctl show -P NRestarts,SubState renewd | xargs)" = "1 running" ]', 20)
    return f"failed and left so; killed, it ran again after {took} s with RestartSec=1"


@case("after a reboot a job ordered after it finds its token, the one from before", needs="reboot")
def job_after_boot(guest):
    guest.begin(CONFIG.format(ready="1m"), {"a.secret": A}, files={"/etc/systemd/system/job.service": JOB})
    before = guest.sh("cp /share/guest/tokens.py /root; systemctl enable -q renewd job; sha256sum < /run/renewd/a.token").split()[0]
    guest.stop()
    guest.start()
    guest.until('[ "$(systemctl show -P ActiveState job)" != activating ]', 60)
    out = guest.sh("systemctl show -P Result job; journalctl -b -o cat -u job; sha256sum < /run/renewd/a.token; "
                   "systemctl is-active renewd; systemctl disable -q renewd job").splitlines()
    expect(out[0] == "success" and any("a.token: good" in line for line in out), out)
    expect(before in " ".join(out), f"the token changed with the reboot: {before} {out}")
    return next(line for line in out if "good" in line)
