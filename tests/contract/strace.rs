//! strace in front of the daemon or at one that runs: calls that fail, or that take as long as those to a dead server.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use support::{Daemon, until};

/// A command in front of another one, whose process is the traced one, with these calls of these paths (all paths, where none is
/// given) so: strace(1), `-e inject=`.
pub(crate) fn injecting(inject: &str, paths: &[&Path]) -> Vec<String> {
    // -I2: a tracer that is no parent ends at SIGTERM.
    [vec!["strace".into(), "-D".into(), "-I2".into()], options(inject, paths)].concat()
}

fn options(inject: &str, paths: &[&Path]) -> Vec<String> {
    let mut options: Vec<String> = ["-f", "-qq", "-o", "/dev/null"].map(String::from).into();
    for path in paths {
        options.extend(["-P".into(), path.to_str().expect("UTF-8").into()]);
    }
    options.extend(["-e".into(), format!("inject={inject}")]);
    options
}

/// Ends what traces the daemon: from now on its calls are as ever.
pub(crate) fn end_tracer(daemon: &Daemon<'_>, signal: Signal) {
    kill_process(tracer_of(daemon.pid()).expect("a tracer"), signal).expect("kill");
    // A signal that comes while it ends would be lost with it.
    until("nobody traces it", || tracer_of(daemon.pid()).is_none());
}

/// Waits until a process has ended, and lets it go: its tracer waits for the calls that it held. One that does not end is killed.
pub(crate) fn let_go_at_its_end(child: &mut Child) -> ExitStatus {
    let pid = child.id();
    let state = || fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is_over = || state().is_empty() || state().contains("State:\tZ");
    let end = Instant::now() + Duration::from_secs(90);
    while !is_over() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let has_ended = is_over();
    if let Some(tracer) = tracer_of(pid) {
        // It may be gone by itself.
        let _ = kill_process(tracer, Signal::KILL);
    }
    if !has_ended {
        child.kill().expect("kill");
    }
    child.wait().expect("wait")
}

fn tracer_of(pid: u32) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?))
}

/// strace at a daemon that runs, for as long as this lives.
pub(crate) struct Tracer(Child);

impl Tracer {
    pub(crate) fn attach(daemon: &Daemon<'_>, inject: &str, paths: &[&Path]) -> Self {
        let mut command = Command::new("strace");
        command.args(options(inject, paths)).args(["-p", &daemon.pid().to_string()]);
        let tracer = Self(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace"));
        until("it is traced", || tracer_of(daemon.pid()).is_some());
        tracer
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}
