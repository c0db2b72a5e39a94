"""While it runs: a hang, a config that is refused, a stop and a start. Readers read all the while."""
from frame import case, expect, secret, signed

NAME = "running"
A = secret(NAME)
FILE = "/run/renewd/a.token"
CONFIG = signed("a", 'lifetime = "{lifetime}"')


@case("a hung daemon is restarted by the watchdog, and a reader never lacks a valid token")
def watchdog(guest):
    guest.begin(CONFIG.format(lifetime="80s"), {"a.secret": A}, dropin="[Service]\nWatchdogSec=4\nRestartSec=500ms\n")
    guest.read_always({FILE: NAME}, mode="0600")
    guest.sh("kill -STOP $(systemctl show -P MainPID renewd)")
    took = guest.until('[ "$(systemctl show -P NRestarts renewd)" = 1 ] && systemctl is-active -q renewd', 40)
    guest.sh("renewd rotate")
    seen = guest.read_enough()
    expect("Watchdog timeout" in guest.journal("-o cat -u renewd"), "systemd told of no watchdog timeout")
    expect(not seen["faults"], seen["faults"])
    return f"up again after {took} s with WatchdogSec=4; {seen['reads']} reads of {seen['tokens']} tokens, at least {seen['least_left']:.0f} s left"


@case("a config that is refused: it runs on, systemctl reload fails, systemctl status shows why; mended, it is taken")
def reload_refused(guest):
    guest.begin(CONFIG.format(lifetime="1h"), {"a.secret": A})
    guest.read_always({FILE: NAME})
    out = guest.sh("""
        systemctl show -P MainPID renewd; cp /etc/renewd/config.toml /root/good.toml
        printf 'lifetme = "1h"\\n' >> /etc/renewd/config.toml
        systemctl reload renewd > /root/said 2>&1 && echo taken || echo refused
        systemctl show -P MainPID renewd; systemctl is-active renewd; renewd rotate && echo rotated
        systemctl status --no-pager -n 0 renewd | grep -i status: ; journalctl -o cat -u renewd -n 60 | grep -c lifetme""").splitlines()
    expect(out[1] == "refused", "systemctl reload succeeded with a broken config")
    expect(out[0] == out[2] and out[3] == "active", f"it did not run on: {out}")
    expect(out[4] == "rotated", "it does not rotate any more")
    expect("config.toml:" in out[5], f"systemctl status does not show the place: {out[5]}")
    mended = guest.sh("cp /root/good.toml /etc/renewd/config.toml; systemctl reload renewd; systemctl show -P StatusText renewd; systemctl show -P MainPID renewd").splitlines()
    expect("config.toml" not in mended[0] and mended[1] == out[0], f"after the mistake was mended: {mended}")
    seen = guest.read_enough()
    expect(not seen["faults"], seen["faults"])
    return out[5].strip()


@case("a stop and a start keep the tokens, and readers have them meanwhile")
def stop_and_start(guest):
    guest.begin(CONFIG.format(lifetime="1h"), {"a.secret": A})
    guest.read_always({FILE: NAME}, mode="0600")
    out = guest.sh(f"""
        sha256sum < {FILE}; stat -c %i {FILE}; renewd status --json | jq -r '.tokens[0].issued_at'
        systemctl stop renewd; sha256sum < {FILE}; systemctl start renewd; sha256sum < {FILE}; stat -c %i {FILE}
        renewd status --json | jq -r '.tokens[0].issued_at'; systemctl restart renewd; sha256sum < {FILE}; ls -A /run/renewd""").split()
    sums = [word for word in out if len(word) == 64]
    expect(len(sums) == 4 and len(set(sums)) == 1, f"the token changed: {out}")
    seen = guest.read_enough()
    expect(not seen["faults"] and seen["tokens"] == 1, seen)
    return f"the same over a stop, a start and a restart; {seen['reads']} reads"
