"""What only a newer systemd does: a credential opened anew at each reload."""
from frame import Skip, case, expect, signed

SUITE, NEEDS = "forky", 260
CONFIG = signed(secret='secret.credential = "portal"')


@case("RefreshOnReload=credentials: a reload takes the secret that changed at its source", needs="fresh", suite=SUITE)
def credentials(guest):
    version = guest.sh("systemctl --version | head -1").strip()
    if int(version.split()[1].split(".")[0].split("~")[0]) < NEEDS:
        raise Skip(f"needs systemd {NEEDS}, Debian {SUITE} has {version}")
    load = "[Service]\nLoadCredential=portal:/srv/portal\n"
    put = "printf %s \"$(python3 -c 'import sys; sys.path.insert(0, \"/share/guest\"); import tokens; print(tokens.secret(sys.argv[1]))' {0})\" > /srv/portal.new; mv /srv/portal.new /srv/portal"
    told = []
    for kind, more, signed in (("without it", "", "before"), ("with it", "RefreshOnReload=credentials\n", "after")):
        guest.begin(CONFIG, dropin=load + more, before=put.format("before"))
        guest.read_always({"/run/renewd/a.token": "before"})
        guest.sh(f"python3 /share/guest/tokens.py /run/renewd/a.token=before; systemctl show -P MainPID renewd > /run/pid")
        seen = guest.read_enough()
        expect(not seen["faults"], seen["faults"])
        out = guest.sh(f"{put.format('after')}; systemctl reload renewd; systemctl show -P MainPID renewd | cmp - /run/pid && echo same; "
                       f"python3 /share/guest/tokens.py /run/renewd/a.token={signed}")
        expect("same" in out, f"{kind}: the daemon was restarted: {out}")
        told.append(f"{kind} it is signed by the secret of {signed}")
    return f"{version}: " + ", ".join(told)
