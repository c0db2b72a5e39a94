"""until.py SECONDS PAUSE CONDITION: waits until the shell CONDITION holds; prints how long that took, or what it last said."""
import subprocess
import sys
import time

limit, pause, condition = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
# The boot-time clock: it goes on in a suspend, and no step of the wall clock moves it.
begun = time.clock_gettime(time.CLOCK_BOOTTIME)
while True:
    tried = subprocess.run(["sh", "-c", condition], capture_output=True, text=True)
    took = time.clock_gettime(time.CLOCK_BOOTTIME) - begun
    if tried.returncode == 0:
        print(f"{took:.2f}")
        break
    if took > limit:
        print(tried.stdout[-1000:], tried.stderr[-1000:])
        sys.exit(1)
    time.sleep(pause)
