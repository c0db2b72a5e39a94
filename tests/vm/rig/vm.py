#!/usr/bin/env python3
"""A test machine with a real systemd: boots, runs commands, sets the clock, sleeps, and loses power.

    vm run [--suite SUITE] [--disk FILE [--snapshot]] [--rootflags OPTS] [--share DIR[:PATH]]... [--put SRC:DST]... [--get SRC:DST]...
           [--timeout S] -- COMMAND...

boots a throw-away copy of the image (or the kept FILE, unchanged with --snapshot), shows it the folders DIR, read-only,
at /share/NAME or PATH, copies files and folders in, runs COMMAND by sh -c as root (or, where it begins with a file here
that starts with #!, that script with its arguments), streams its output, copies files and folders out, and exits with
its code; 124 past the timeout, 125 when the machine fails. In Python: `VM`, see README.md. Standard library only.
"""
import argparse
import base64
import json
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

RIG = pathlib.Path(__file__).resolve().parent
IMAGES = pathlib.Path(os.environ.get("RENEWD_VM_DIR") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "renewd-vm")


# What udev and systemd would load and start without being asked: in software emulation half of the boot.
UNUSED_MODULES = ["kvm", "kvm_amd", "kvm_intel", "powernow_k8", "floppy", "ata_piix", "ata_generic", "libata", "aesni_intel", "cryptd",
                  "ghash_clmulni_intel", "sha512_ssse3", "sha256_ssse3", "sha1_ssse3", "crc32_pclmul", "crct10dif_pclmul", "serio_raw",
                  "evdev", "qemu_fw_cfg", "efi_pstore", "dm_mod", "fuse"]
UNUSED_UNITS = ["serial-getty@ttyS0.service", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "proc-sys-fs-binfmt_misc.mount",
                "sys-fs-fuse-connections.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount",
                "modprobe@configfs.service", "modprobe@dm_mod.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
                "modprobe@fuse.service", "modprobe@loop.service", "sys-kernel-config.mount", "systemd-update-utmp.service",
                "systemd-update-utmp-runlevel.service", "systemd-random-seed.service", "systemd-pstore.service"]


def images(suite=None):
    """The folder of the image of a Debian suite, by default of the host's; build-image makes it."""
    return IMAGES / (suite or re.search(r"^VERSION_CODENAME=(\S+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1])


class VMError(Exception):
    """The machine did not boot, or its agent did not answer in time."""


class CommandFailed(VMError):
    """A command in the machine, which is well, exited with another code than 0."""


def accelerator():
    """KVM where the processor has it, else software emulation; RENEWD_VM_ACCEL=kvm or tcg decides.

    /dev/kvm alone says too little: on a host that makes it without the processor's help, a stock kernel hangs as it unpacks."""
    chosen = os.environ.get("RENEWD_VM_ACCEL")
    if not chosen:
        flags = re.search(r"\b(vmx|svm)\b", pathlib.Path("/proc/cpuinfo").read_text())
        chosen = "kvm" if flags and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"
    return chosen


class VM:
    """One machine. `disk` keeps its state over stop, power_cut and start; without it, a temporary one goes with the object.

    `snapshot`: leaves `disk` as it is. `shares`: folders here, each DIR or DIR:PATH, to be seen read-only at /share/NAME or
    PATH as they are at each start. `rtc`: what its hardware clock says at each start, "utc" or as 2031-02-03T04:05:06.
    `suite`: the Debian suite of its image, by default the host's."""

    def __init__(self, disk=None, rootflags="", memory_mb=512, cpus=1, snapshot=False, shares=(), rtc="utc", suite=None):
        self.images = images(suite)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="renewd-vm-"))
        self.disk = pathlib.Path(disk) if disk and not snapshot else self.dir / "disk.img"
        if not self.disk.exists():
            # A sparse, reflinked copy where the file system can; raw, so that a cut leaves nothing in a format's metadata.
            base = disk if disk and snapshot else self.images / "disk.img"
            subprocess.run(["cp", "--sparse=always", "--reflink=auto", base, self.disk], check=True)
        self.rootflags, self.memory_mb, self.cpus, self.rtc = rootflags, memory_mb, cpus, rtc
        self.shares = []
        for share in shares:
            folder, _, path = str(share).partition(":")
            self.shares.append((folder, path or f"/share/{pathlib.Path(folder).resolve().name}"))
        self.accel = accelerator()
        self.qemu = self.agent = self.qmp = None
        self.serial = 0

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self, timeout=120):
        """Boots and waits for the agent. Returns the seconds it took.

        QEMU ends with the thread that called this, so that a killed test leaves no machine behind."""
        if self.qemu and self.qemu.poll() is None:
            raise VMError("it runs already")
        began = time.monotonic()
        for name in ("agent", "qmp"):
            (self.dir / name).unlink(missing_ok=True)
        append = ("console=ttyS0 root=/dev/vda rw quiet loglevel=3 panic=-1 systemd.show_status=0 no_console_suspend"
                  f" modprobe.blacklist={','.join(UNUSED_MODULES)} {' '.join('systemd.mask=' + unit for unit in UNUSED_UNITS)}")
        if self.rootflags:
            append += f" vm.rootflags={self.rootflags}"
        log = open(self.dir / "console.log", "ab")
        self.qemu = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", self.accel, "-cpu", "host" if self.accel == "kvm" else "max", "-M", "pc", "-m", str(self.memory_mb), "-smp", str(self.cpus), "-nodefaults", "-no-reboot",
             "-display", "none", "-serial", "stdio", "-nic", "none", "-rtc", f"base={self.rtc}",
             "-kernel", self.images / "vmlinuz", "-initrd", self.images / "initrd", "-append", append,
             # cache=writeback: the guest's flushes reach the host, and what it did not flush from its own memory is gone with the process.
             "-drive", f"file={self.disk},format=raw,if=none,id=root,cache=writeback", "-device", "virtio-blk-pci,drive=root",
             *self._share_disks(),
             "-device", "virtio-serial", "-chardev", f"socket,id=a,path={self.dir}/agent,server=on,wait=off",
             "-device", "virtserialport,chardev=a,name=agent",
             "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        log.close()
        try:
            self.agent = self._connect("agent", began + timeout)
            self.pending = b""
            self._line(began + timeout)  # the agent's hello
            for i, (_, path) in enumerate(self.shares):
                at, device = shlex.quote(path), f"/dev/disk/by-id/virtio-share{i}"
                self.check(f"mkdir -p {at} && udevadm wait --timeout=30 {device} && mount -o ro {device} {at}")
        except BaseException:
            self.qemu.kill()
            self.qemu.wait()
            raise
        return time.monotonic() - began

    def _share_disks(self):
        # A disk for each folder, and no shared file system: the cloud kernel has no 9p, and with virtiofs it cannot suspend.
        arguments = []
        for i, (folder, _) in enumerate(self.shares):
            image, sizes = self.dir / f"share{i}.img", [0]
            for at, folders, files in os.walk(folder):
                sizes += [4096 for _ in folders] + [os.lstat(os.path.join(at, f)).st_size // 4096 * 4096 + 8192 for f in files]
            image.unlink(missing_ok=True)
            subprocess.run(["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "^has_journal", "-N", str(len(sizes) + 64),
                            "-d", folder, image, f"{sum(sizes) * 11 // 10 // 1024 + len(sizes) + (16 << 10)}k"],
                           check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
            arguments += ["-drive", f"file={image},format=raw,if=none,id=share{i},readonly=on",
                          "-device", f"virtio-blk-pci,drive=share{i},serial=share{i}"]
        return arguments

    def _connect(self, name, deadline):
        while time.monotonic() < deadline and self.qemu.poll() is None:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(str(self.dir / name))
                return s
            except OSError:
                s.close()
                time.sleep(0.02)
        raise VMError(f"no {name} socket; console:\n{self.console()[-2000:]}")

    def _line(self, deadline):
        while b"\n" not in self.pending:
            if not select.select([self.agent], [], [], max(0, deadline - time.monotonic()))[0]:
                raise VMError(f"no answer in time; console:\n{self.console()[-2000:]}")
            try:
                chunk = self.agent.recv(1 << 20)
            except OSError:
                chunk = b""
            if not chunk:
                raise VMError(f"the machine is gone; console:\n{self.console()[-2000:]}")
            self.pending += chunk
        line, self.pending = self.pending.split(b"\n", 1)
        return json.loads(line)

    def send(self, request):
        """Sends a request and does not wait: for a command that a power cut is to interrupt."""
        self.serial += 1
        self.agent.sendall(json.dumps({**request, "id": self.serial}).encode() + b"\n")
        return self.serial

    def _ask(self, request, timeout, on_output=None):
        want, deadline = self.send(request), time.monotonic() + timeout
        while True:
            answer = self._line(deadline)
            if answer.get("id") == want and "more" in answer:
                on_output(base64.b64decode(answer["more"]))
            elif answer.get("id") == want or answer.get("rc") == -1:
                if answer["rc"] == -1:
                    raise VMError(base64.b64decode(answer["out"]).decode())
                return answer

    def run(self, command, timeout=60, on_output=None):
        """Runs a shell command as root. Returns (exit code, stdout and stderr as text); 124 when it ran past `timeout` seconds.

        With `on_output` that is called with bytes as they come, and the text returned is empty. It may raise: then the
        command goes on in the machine, and no other can be run until it ended, but power_cut() and start() work."""
        if on_output is None:
            answer = self._ask({"run": command, "timeout": timeout}, timeout + 30)
            return answer["rc"], base64.b64decode(answer["out"]).decode(errors="replace")
        answer = self._ask({"run": command, "timeout": timeout, "stream": True}, timeout + 30, on_output)
        on_output(base64.b64decode(answer["out"]))
        return answer["rc"], ""

    def check(self, command, timeout=60):
        """As run, but raises CommandFailed on a non-zero exit, and returns the output alone."""
        rc, out = self.run(command, timeout)
        if rc:
            raise CommandFailed(f"{command} exited {rc}:\n{out}")
        return out

    def put(self, source, target, mode=None):
        """Copies a file (a path, or bytes) into the machine."""
        data = source if isinstance(source, bytes) else pathlib.Path(source).read_bytes()
        mode = mode if mode is not None else 0o644 if isinstance(source, bytes) else os.stat(source).st_mode & 0o777
        step = 1 << 19
        for at in range(0, max(len(data), 1), step):
            self._ask({"put": target, "append": at > 0, "mode": mode, "data": base64.b64encode(data[at:at + step]).decode()}, 60)

    def get(self, path):
        """A file's bytes."""
        data, step = b"", 1 << 19
        while True:
            part = base64.b64decode(self._ask({"get": path, "at": len(data), "size": step}, 60)["out"])
            data += part
            if len(part) < step:
                return data

    def copy_in(self, source, target):
        """Copies a file, or what is in a folder, into the machine."""
        if not os.path.isdir(source):
            return self.put(source, target)
        tar = subprocess.run(["tar", "-C", source, "-czf", "-", "."], check=True, stdout=subprocess.PIPE).stdout
        self.put(tar, "/var/tmp/copy.tgz")
        self.check(f"mkdir -p {shlex.quote(target)} && tar -C {shlex.quote(target)} -xzf /var/tmp/copy.tgz && rm /var/tmp/copy.tgz", 300)

    def copy_out(self, source, target):
        """Copies a file, or what is in a folder, out of the machine."""
        if self.run(f"test -d {shlex.quote(source)}")[0]:
            pathlib.Path(target).write_bytes(self.get(source))
            return
        self.check(f"tar -C {shlex.quote(source)} -czf /var/tmp/copy.tgz .", 300)
        pathlib.Path(target).mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-C", target, "-xzf", "-"], check=True, input=self.get("/var/tmp/copy.tgz"))
        self.check("rm /var/tmp/copy.tgz")

    def set_clock(self, seconds_from_now):
        """Steps the machine's wall clock by so many seconds, forward or back."""
        self.check(f"date -u -s @$(( $(date +%s) + ({int(seconds_from_now)}) ))")

    def _qmp(self, *commands):
        s = self._connect("qmp", time.monotonic() + 5)
        f = s.makefile("rw")
        f.readline()
        for c in ({"execute": "qmp_capabilities"}, *commands):
            f.write(json.dumps(c) + "\n")
            f.flush()
            while True:
                answer = json.loads(f.readline())
                if "return" in answer or "error" in answer:
                    break
            if "error" in answer:
                raise VMError(answer["error"]["desc"])
        s.close()
        return answer["return"]

    def suspend(self, seconds=None):
        """Suspends to memory (S3), stays so for `seconds`, wakes up. The boot-time clock goes on, the monotonic one does not.

        Without `seconds` it sleeps until wakeup(), and power_cut() takes it in its sleep."""
        self.send({"run": "echo mem > /sys/power/state", "timeout": 60})
        deadline = time.monotonic() + 30
        while self._qmp({"execute": "query-status"})["status"] != "suspended":
            if time.monotonic() > deadline:
                raise VMError("it did not suspend")
            time.sleep(0.1)
        if seconds is not None:
            time.sleep(seconds)
            self.wakeup()

    def wakeup(self):
        """Ends a suspend."""
        self._qmp({"execute": "system_wakeup"})

    def power_cut(self):
        """Power loss: the process dies at once; what the guest had not flushed to its disk is lost."""
        self.qemu.send_signal(signal.SIGKILL)
        self.qemu.wait()
        self.agent.close()

    def stop(self, timeout=60):
        """An orderly shutdown."""
        self.send({"run": "systemctl poweroff --no-block"})
        try:
            self.qemu.wait(timeout)
        except subprocess.TimeoutExpired:
            self.power_cut()
            raise VMError("it did not power off") from None
        self.agent.close()

    def console(self):
        """All that the serial console showed."""
        return (self.dir / "console.log").read_text(errors="replace") if (self.dir / "console.log").exists() else ""

    def close(self):
        if self.qemu and self.qemu.poll() is None:
            self.power_cut()
        shutil.rmtree(self.dir, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="vm", description=__doc__.split("\n", 1)[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run")
    run.add_argument("--suite")
    run.add_argument("--disk")
    run.add_argument("--snapshot", action="store_true")
    run.add_argument("--rootflags", default="")
    run.add_argument("--share", action="append", default=[], metavar="DIR[:PATH]")
    run.add_argument("--put", action="append", default=[], metavar="SRC:DST")
    run.add_argument("--get", action="append", default=[], metavar="SRC:DST")
    run.add_argument("--timeout", type=float, default=300)
    run.add_argument("command", nargs="+")
    args = parser.parse_args()
    subprocess.run([RIG / "build-image", *([args.suite] if args.suite else [])], check=True, stdout=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with VM(disk=args.disk, rootflags=args.rootflags, snapshot=args.snapshot, shares=args.share, suite=args.suite) as vm:
            for source, target in (pair.split(":", 1) for pair in args.put):
                vm.copy_in(source, target)
            command = " ".join(args.command)
            script = pathlib.Path(args.command[0])
            if script.is_file() and script.read_bytes()[:2] == b"#!":
                vm.put(script, "/run/script", 0o755)
                # By its interpreter: /run forbids to execute.
                line = script.read_bytes().split(b"\n", 1)[0][2:].decode().strip()
                command = f"{line} /run/script {shlex.join(args.command[1:])}"
            rc, _ = vm.run(command, args.timeout, lambda data: (sys.stdout.buffer.write(data), sys.stdout.buffer.flush()))
            for source, target in (pair.split(":", 1) for pair in args.get):
                vm.copy_out(source, target)
            if args.disk and not args.snapshot:
                vm.stop()
    except VMError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 125
    return rc


if __name__ == "__main__":
    sys.exit(main())
