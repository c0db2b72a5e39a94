"""Clocks that jump, and a machine that sleeps."""
from frame import case, expect, secret, signed

NAME = "clock"
A = secret(NAME)
RULES = ['rotate_at = 0.67', 'rotate_before = "10m"', 'lifetime = "30d"\nrotate_every = "12h"', 'lifetime = "never"\nrotate_every = "6h"']


def config(rules):
    return "".join(signed(f"t{i}", rule, outputs={f"/run/renewd/{i}.token": ""}) for i, rule in enumerate(rules))


@case("the clock set forward and back by a day: all that is due is rotated within 30 s", needs="clock")
def day(guest):
    # The one that never expires has no exp, which the judge of tokens asks for: its file is watched by its time alone.
    guest.begin(config(RULES), {"a.secret": A})
    files = " ".join(f"/run/renewd/{i}.token={NAME}" for i in range(3))
    told = []
    for seconds, word in ((86400, "forward"), (-86400, "back")):
        before = guest.sh("sha256sum < /run/renewd/3.token").split()[0]
        guest.set_clock(seconds)
        took = guest.until(f'python3 /share/guest/tokens.py --issued-within 60 {files} && test "$(sha256sum < /run/renewd/3.token | cut -d" " -f1)" != {before}', 32)
        told.append(f"{word}: all four after {took} s")
    guest.sh("systemctl show -P NRestarts renewd | grep -x 0")
    return ", ".join(told)


@case("after a suspend in which the tokens expired, all are good within 30 s", needs="suspend")
def suspend(guest):
    guest.begin(config(['lifetime = "8s"'] * 3), {"a.secret": A})
    guest.suspend(10)
    took = guest.until("python3 /share/guest/tokens.py " + " ".join(f"/run/renewd/{i}.token={NAME}" for i in range(3)), 32)
    clocks = guest.sh("python3 -c 'import time; print(round(time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)))'")
    expect(int(clocks) >= 8, f"it did not sleep: {clocks}")
    return f"seen good {took} s after it could be asked"
