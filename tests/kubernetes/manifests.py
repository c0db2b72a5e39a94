"""The manifests, judged and run. A container is here a mount namespace with a root folder of its own, its volumes and its
user, and no capability: what a kubelet and a runtime give it, without a cluster."""
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
MANIFEST = REPO / "packaging/kubernetes/job.yaml"
# The oldest version that starts sidecars by itself, and the newest that is known.
VERSIONS = ("1.29.0", "1.37.0")
counts = {"ok": 0, "FAIL": 0, "SKIP": 0}


def told(verdict, words):
    counts[verdict] += 1
    print(f"{verdict:4} {words}", flush=True)


def expect(holds, words, why=""):
    told("ok" if holds else "FAIL", words if holds or not why else f"{words}: {why}")


def by_the_schemas():
    validate = pathlib.Path(sys.executable).with_name("kubernetes-validate")
    for version in VERSIONS:
        done = subprocess.run([validate, "--strict", "-k", version, MANIFEST], capture_output=True, text=True)
        expect(done.returncode == 0, f"the schemas of Kubernetes {version} take it", done.stdout + done.stderr)
    wrong = subprocess.run([validate, "--strict", "-k", VERSIONS[1], "-"], capture_output=True, text=True,
                           input=MANIFEST.read_text().replace("startupProbe", "startupProb"))
    expect(wrong.returncode != 0, "a slip would be seen")


def by_the_restricted_profile(pod):
    """The pod security standard `restricted`, rule by rule."""
    every = pod["initContainers"] + pod["containers"]
    for container in every:
        context = container["securityContext"]
        expect(context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
               and context["readOnlyRootFilesystem"] and context["runAsUser"] > 0,
               f"{container['name']}: no privilege, a read-only root, a user that is not root")
    expect(pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"},
           "the pod: not root, the runtime's seccomp profile")
    expect(all(set(volume) - {"name"} <= {"emptyDir", "configMap", "secret"} for volume in pod["volumes"]), "only volumes of the pod's own")
    sidecar = next(c for c in every if c["name"] == "renewd")
    expect(sidecar in pod["initContainers"] and sidecar["restartPolicy"] == "Always", "renewd is a native sidecar")


class Kubelet:
    """Volumes and containers of one pod below a folder."""

    def __init__(self, folder, objects, pod, binary):
        self.folder, self.pod = folder, pod
        self.group = pod["securityContext"]["fsGroup"]
        self.volumes = {volume["name"]: self.volume(volume, objects) for volume in pod["volumes"]}
        self.renewd_root = self.root("renewd", {"usr/bin/renewd": binary})
        busybox = shutil.which("busybox")
        self.job_root = self.root("job", {f"bin/{name}": busybox for name in ("mkdir", "cat", "sh", "touch", "ls", "id")})

    def root(self, name, programs):
        root = self.folder / f"root-{name}"
        for path, source in programs.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / path)
            (root / path).chmod(0o755)
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc/passwd").write_text("root:x:0:0::/:/nologin\nrenewd:x:65532:65532::/:/nologin\n")
        return root

    def volume(self, volume, objects):
        """As the kubelet lays it out: an emptyDir open to all, with the pod's group; a secret behind the link ..data."""
        path = self.folder / "volumes" / volume["name"]
        path.mkdir(parents=True)
        os.chown(path, 0, self.group)
        path.chmod(0o2777)
        for kind, key, name in (("secret", "stringData", "secretName"), ("configMap", "data", "name")):
            if kind in volume:
                self.fill(path, objects[volume[kind][name]][key], volume[kind].get("defaultMode", 0o644))
        return path

    def fill(self, path, data, mode):
        """The first content of a volume, or the next: a new folder, then the link to it is swapped."""
        content = path / f"..{secrets.token_hex(4)}"
        content.mkdir()
        os.chown(content, 0, self.group)
        for name, text in data.items():
            (content / name).write_text(text)
            os.chown(content / name, 0, self.group)
            (content / name).chmod(mode)
            if not (path / name).is_symlink():
                (path / name).symlink_to(f"..data/{name}")
        (path / "..data_tmp").symlink_to(content.name)
        (path / "..data_tmp").rename(path / "..data")

    def container(self, name, command, **options):
        """Starts `command` as the named container of the manifest would; its process."""
        spec = next(c for c in self.pod["initContainers"] + self.pod["containers"] if c["name"] == name)
        root = self.renewd_root if name == "renewd" else self.job_root
        script = ["set -eu", f"mount --bind {root} {root}"]
        for mount in spec["volumeMounts"]:
            source = self.volumes[mount["name"]] / mount.get("subPath", "")
            at = root / mount["mountPath"].lstrip("/")
            at.mkdir(parents=True, exist_ok=True)
            script.append(f"mount --bind {source} {at}")
            if mount.get("readOnly"):
                script.append(f"mount -o remount,bind,ro {at}")
        context = spec["securityContext"]
        script.append(f"mount -o remount,bind,ro {root}")
        script.append(f"cd / && exec setpriv --bounding-set=-all,+sys_chroot,+setuid,+setgid --no-new-privs chroot "
                      f"--userspec={context['runAsUser']}:{context['runAsGroup']} --groups={self.group} {root} \"$@\"")
        environment = {"RUNTIME_DIRECTORY": "/run/renewd", "STATE_DIRECTORY": "/var/lib/renewd"}
        return subprocess.Popen(["unshare", "--mount", "sh", "-c", "\n".join(script), "sh", *command],
                                env={**os.environ, **environment} if name == "renewd" else os.environ,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)

    def run(self, name, command):
        process = self.container(name, command)
        output = process.communicate(timeout=60)[0]
        return process.returncode, output


def part(pod, kind, name):
    return next(c for c in pod[kind] if c["name"] == name)


def as_a_pod(objects, pod, binary, folder):
    kubelet = Kubelet(folder, objects, pod, binary)
    sidecar = part(pod, "initContainers", "renewd")
    probe = sidecar["startupProbe"]["exec"]["command"]
    ready = sidecar["readinessProbe"]["exec"]["command"]

    code, said = kubelet.run("folders", part(pod, "initContainers", "folders")["command"])
    expect(code == 0, "the folders are made", said)
    code, said = kubelet.run("folders", part(pod, "initContainers", "folders")["command"])
    expect(code == 0, "and made again when the container is run again", said)

    code, said = kubelet.run("renewd", ["/usr/bin/renewd", "check"])
    expect(code == 0, "renewd check takes the config of the manifest", said)
    daemon = kubelet.container("renewd", ["/usr/bin/renewd", *sidecar["args"]])
    try:
        for _ in range(sidecar["startupProbe"]["failureThreshold"]):
            code, said = kubelet.run("renewd", probe)
            if code == 0 or daemon.poll() is not None:
                break
            time.sleep(sidecar["startupProbe"]["periodSeconds"])
        expect(code == 0, "the startup probe passes", said)
        code, said = kubelet.run("renewd", ready)
        expect(code == 0, "the readiness probe passes", said)

        path = part(pod, "containers", "orders")["command"][3].removeprefix("@")
        code, first = kubelet.run("orders", ["cat", path])
        expect(code == 0 and first.startswith("Authorization: Bearer ey"), "the job reads its token", first)
        code, said = kubelet.run("orders", ["touch", f"{path}.mine"])
        expect(code != 0 and "Read-only" in said, "and can put nothing in its place", said)
        code, said = kubelet.run("orders", ["ls", "/secrets", "/var/lib/renewd"])
        expect(code != 0, "nor see the secret or the state", said)

        volume = next(v for v in pod["volumes"] if "secret" in v)
        kubelet.fill(kubelet.volumes[volume["name"]], {"secret": "another-secret-of-32-bytes-or-more"}, 0o440)
        until = time.monotonic() + 20
        while (now := kubelet.run("orders", ["cat", path])[1]) == first and time.monotonic() < until:
            time.sleep(0.1)
        expect(now != first and now.startswith("Authorization: Bearer ey"), "a changed secret: the job reads a new token", now)
    finally:
        # The namespace's first process is the program itself: everything before it has exec'ed.
        daemon.terminate()
        output = daemon.communicate(timeout=20)[0]
    expect(daemon.returncode == 0, "renewd ends with 0 when the pod does", output)


def main():
    binary = pathlib.Path(sys.argv[1])
    documents = [d for d in yaml.safe_load_all(MANIFEST.read_text()) if d]
    objects = {d["metadata"]["name"]: d for d in documents}
    pod = next(d for d in documents if d["kind"] == "Job")["spec"]["template"]["spec"]
    by_the_schemas()
    by_the_restricted_profile(pod)
    lack = next((words for missing, words in (
        (os.geteuid() != 0, "only root makes mount namespaces"),
        (not shutil.which("busybox"), "busybox is not here"),
        (b"INTERP" in subprocess.run(["readelf", "-l", binary], capture_output=True).stdout,
         f"{binary} is not static, and a root folder of its own has no libraries"),
        (subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0, "unshare --mount is not allowed here"),
    ) if missing), None)
    if lack:
        told("SKIP", f"the pod: {lack}")
    else:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            pathlib.Path(folder).chmod(0o755)
            as_a_pod(objects, pod, binary, pathlib.Path(folder))
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
