"""The power cut at random moments, while many tokens rotate each second onto a disk that covers up nothing."""
import json
import random
import time

from frame import case, expect, secret

START = """
python3 /share/guest/cuts.py before
date +%s.%N > /run/renewd-started
systemctl start renewd || { journalctl -b -u renewd --no-pager; exit 1; }
python3 /share/guest/cuts.py after
renewd status > /dev/null
journalctl -b -u renewd -o cat -p err --no-pager
"""


@case("the power cut at random moments: no empty or torn file, no leftover, nothing lost that was said, the state readable",
      needs="fresh", rootflags="noauto_da_alloc")
def cuts(guest):
    rounds, dice = 50 if guest.options.long else 5, random.Random(guest.options.seed)
    guest.begin("", {"a.secret": secret("power")}, start=False, dropin="", files={
        "/etc/systemd/system/renewd.service.d/power.conf": "[Service]\nReadWritePaths=/var/tokens\n"},
        before="""install -d -o renewd /var/tokens /var/tokens/json
            python3 /share/guest/cuts.py config > /etc/renewd/config.toml; sync""")
    told, seen, leftovers, starting, faults = [], 0, 0, 0, []
    for number in range(rounds + 1):
        if number:
            guest.start()
        before, after, *errors = guest.sh(START, 180).splitlines()
        before, after = json.loads(before), json.loads(after)
        leftovers += before["leftovers"]
        seen += before["good"]
        if number and number % 10 == 0:
            print(f"     power.cuts: {number} of {rounds} cuts, {len(faults)} faults", flush=True)
        faults += [f"after cut {number}, as it lay on the disk: {fault}" for fault in before["faults"]]
        faults += [f"after cut {number}, with renewd running: {fault}" for fault in after["faults"]]
        # That the short-lived ones expired while the power was off is no fault of its.
        faults += [f"after cut {number}, its log: {line}" for line in errors if "has expired and no new one is at hand" not in line]
        # What `renewd rotate` said is on disk is there, or something newer.
        if number and (before["jti"] is None or before["jti"] in told[:-1]):
            there = told.index(before["jti"]) + 1 if before["jti"] in told else "none"
            faults.append(f"after cut {number}: of {len(told)} tokens that were said to be on disk the last is not, there is: {there}")
        if number == rounds:
            break
        told = [after["jti"]]
        if dice.random() < 0.2:
            # In its start: what the last cut left is read, swept and written again.
            starting += 1
            guest.sh("systemctl stop renewd; sleep 1")
            guest.send({"run": "systemctl start renewd", "timeout": 60})
            time.sleep(dice.uniform(0, 1.5))
        else:
            rotate_until_cut(guest, told, dice.uniform(0.5, 4), dice.uniform(0, 0.3))
        guest.power_cut()
    expect(not faults, "\n".join([f"seed {guest.options.seed}, {rounds} cuts:", *faults]))
    return (f"{rounds} cuts, {starting} of them in a start; {seen} tokens looked at as they lay, {leftovers} temporary files found and swept; "
            f"{after['good']} tokens good each time it ran again; seed {guest.options.seed}")


def rotate_until_cut(guest, told, after, later):
    cut_at, rest = time.monotonic() + after, b""

    def listen(data):
        nonlocal rest
        *lines, rest = (rest + data).split(b"\n")
        told.extend(line.decode() for line in lines)
        if time.monotonic() > cut_at:
            raise StopIteration

    try:
        guest.run("exec python3 /share/guest/cuts.py said", 60, listen)
    except StopIteration:
        time.sleep(later)
