"""reader.py JSON: opens token files all the time and keeps what is wrong with them; at SIGTERM it writes /run/reader.json.

All the tokens it ever saw are added to /root/tokens-seen, which only root reads: the journal is searched for them."""
import json
import os
import signal
import socket
import sys
import time

from tokens import Bad, claims

rules = json.loads(sys.argv[1])
files, mode = rules["files"], rules.get("mode")
faults, reads, least_left = {}, 0, float("inf")
known = {path: {} for path in files}
going = True


def stop(*_):
    global going
    going = False


def look(path):
    global least_left
    try:
        with open(path) as file:
            text, about = file.read(), os.fstat(file.fileno())
    except OSError as error:
        return f"{path}: {error.strerror}"
    if mode and about.st_mode & 0o7777 != int(mode, 8):
        return f"{path}: mode {about.st_mode & 0o7777:04o}"
    if text not in known[path]:
        try:
            known[path][text] = claims(text, files[path])["exp"]
        except Bad as error:
            return f"{path}: {error}"
    left = known[path][text] - time.time()
    least_left = min(least_left, left)
    if left <= 0 and not rules.get("expired"):
        return f"{path}: expired"
    return None


signal.signal(signal.SIGTERM, stop)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while going:
    for path in files:
        reads += 1
        if fault := look(path):
            faults[fault] = faults.get(fault, 0) + 1
    time.sleep(0.005)
with open(os.open("/root/tokens-seen", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as seen:
    seen.writelines(f"{text}\n" for texts in known.values() for text in texts)
with open("/run/reader.json", "w") as out:
    json.dump({"faults": [f"{fault}, {times} times" for fault, times in faults.items()], "reads": reads,
               "tokens": sum(map(len, known.values())), "least_left": least_left}, out)
