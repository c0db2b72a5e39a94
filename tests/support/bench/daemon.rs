//! Owns: a running `renewd run` with a fake service manager, and what /proc says of it.
//! Does not: measure.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::processes::sleeps;

/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Daemon {
    child: Child,
    socket: UnixDatagram,
    pub ready_after: Duration,
}

impl Daemon {
    /// Starts it, and returns when it said READY=1.
    pub fn start(mut command: Command, folder: &Path) -> Self {
        let path = folder.join("notify.sock");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("a notify socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        command.env("NOTIFY_SOCKET", &path).stderr(Stdio::inherit());
        let started = Instant::now();
        let child = command.spawn().expect("the daemon starts");
        let mut daemon = Self { child, socket, ready_after: Duration::ZERO };
        daemon.wait_for("READY=1");
        daemon.ready_after = started.elapsed();
        daemon
    }

    /// Waits for a datagram with this line.
    pub fn wait_for(&self, line: &str) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|e| panic!("no {line} came: {e}"));
            if String::from_utf8_lossy(&buffer[..length]).lines().any(|l| l == line) {
                return;
            }
        }
    }

    /// What came meanwhile is of no interest.
    pub fn forget_messages(&self) {
        self.socket.set_nonblocking(true).expect("nonblocking");
        while self.socket.recv(&mut [0; 1 << 16]).is_ok() {}
        self.socket.set_nonblocking(false).expect("blocking");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory in use, in KiB.
    pub fn resident(&self) -> u64 {
        status_field(self.pid(), "VmRSS").expect("the daemon runs")
    }

    /// ... its part of what is shared with others counted as a part.
    pub fn proportional(&self) -> u64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).expect("smaps_rollup");
        field(&rollup, "Pss").expect("Pss")
    }

    /// ... that is its alone.
    pub fn private(&self) -> u64 {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).expect("smaps_rollup");
        field(&rollup, "Private_Dirty").expect("Private_Dirty")
    }

    /// The processor time of all its threads that are there now.
    pub fn processor_time(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("its threads");
        threads.filter_map(|thread| scheduled(&thread.ok()?.path().join("schedstat"))).sum()
    }

    /// How often its threads went to sleep by themselves: each wake-up ends in one.
    pub fn sleeps(&self) -> u64 {
        sleeps(self.pid()).values().sum()
    }

    /// SIGTERM, and a clean end.
    pub fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a pid")).expect("a pid");
        kill_process(pid, Signal::TERM).expect("kill");
        let status = self.child.wait().expect("wait");
        assert!(status.success(), "after SIGTERM: {status}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that a thread's schedstat tells, proc(5).
pub fn scheduled(schedstat: &Path) -> Option<Duration> {
    let nanos = fs::read_to_string(schedstat).ok()?.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// A number of /proc/PID/status.
pub fn status_field(pid: u32, name: &str) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, name)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
