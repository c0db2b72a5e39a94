"""What the journal holds, of all the cases before in this machine too."""
import json

from frame import case, expect, secret, signed

NAME = "journal"
A = secret(NAME)
CONFIG = '[daemon]\nready_timeout = "1s"\n' + signed()


@case("journal lines have priorities, and no line shows a secret or a token", needs="journal")
def lines(guest):
    # A lack, its end, a refused config, a secret in a file that others may read: all levels.
    guest.begin(CONFIG)
    guest.write({"/etc/renewd/a.secret": (A, 0o644)})
    guest.until("renewd wait --timeout 1s", 30)
    guest.read_always({"/run/renewd/a.token": NAME})
    guest.sh("renewd rotate; echo 'nonsense = 1' >> /etc/renewd/config.toml; systemctl reload renewd && exit 1; renewd rotate; "
             "systemctl kill -s USR1 renewd; systemctl stop renewd")
    guest.read_enough()
    ours = [json.loads(line) for line in guest.journal("-o json _COMM=renewd --output-fields=PRIORITY,MESSAGE").splitlines() if line.startswith("{")]
    levels = {level: sum(line["PRIORITY"] == level for line in ours) for level in "34567"}
    expect(levels["3"] and levels["4"] and levels["6"], f"not an error, a warning and an information: {levels}")
    odd = [line["MESSAGE"] for line in ours if not isinstance(line["MESSAGE"], str) or line["MESSAGE"].startswith("<")]
    expect(not odd, f"the priority stands in the text: {odd[:3]}")
    errors = [line["MESSAGE"] for line in ours if line["PRIORITY"] == "3"]
    expect(any("nonsense" in line for line in errors), f"the refused config is no error: {errors}")
    # The whole journal of this machine: secrets as they are, in base64 and in hex; anything that begins like a token; and
    # the signatures of all the tokens that readers saw.
    found = guest.sh(f"""
        cut -d. -f3 /root/tokens-seen | sort -u > /root/needles; wc -l < /root/needles
        printf '%s\\n' VMSECRET Vk1TRUNSRV 564d534543524554 eyJ0eXAi eyJhbGci >> /root/needles
        journalctl --no-pager -o export --all > /root/journal; wc -l < /root/journal
        grep -a -F -f /root/needles /root/journal | cut -c1-200 | sort -u | head -20""", 120).split("\n")
    shown = [line for line in found[2:] if line]
    expect(not shown, "\n".join(["the journal shows:", *shown]))
    return f"{len(ours)} lines of this case by priority {levels}; {found[0].strip()} tokens and all secrets sought in {found[1].strip()} lines of journal"
