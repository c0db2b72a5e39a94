//! Owns: a mount namespace of a test's own, where what is mounted is seen by nobody else and is gone with it; and a file system in
//! memory for a test that needs a small one.
//! Does not: know what runs in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Sandbox, is_root, skipped, until};

/// A process that holds the namespace.
pub struct Mounts {
    holder: Child,
    pid: String,
}

impl Mounts {
    /// `None`, and a word of it, where no namespace is to be had.
    pub fn new(test: &str, sandbox: &Sandbox) -> Option<Self> {
        if !is_root(test) {
            return None;
        }
        let up = sandbox.path("namespace-is-up");
        let holder = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", ": >\"$1\"; exec sleep 600", "sh"])
            .arg(&up)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare");
        let mut mounts = Self { pid: holder.id().to_string(), holder };
        let mut ended = false;
        until("the namespace is there", || {
            ended = mounts.holder.try_wait().expect("wait").is_some();
            ended || up.exists()
        });
        if ended || !mounts.may_mount(sandbox) {
            skipped(test, "nothing may be mounted here");
            return None;
        }
        Some(mounts)
    }

    fn may_mount(&self, sandbox: &Sandbox) -> bool {
        let probe = sandbox.mkdir("probe");
        let probe = probe.to_str().expect("UTF-8");
        self.try_run(&["mount", "-t", "tmpfs", "none", probe]) && self.try_run(&["umount", probe])
    }

    /// What is put before a command that is to run in it.
    pub fn enter(&self) -> [&str; 5] {
        ["nsenter", "-t", &self.pid, "-m", "--"]
    }

    fn try_run(&self, argv: &[&str]) -> bool {
        let enter = self.enter();
        let mut command = Command::new(enter[0]);
        command.args(&enter[1..]).args(argv).stdin(Stdio::null());
        command.status().expect("nsenter").success()
    }

    /// Runs a command in it, which must go well.
    #[track_caller]
    pub fn run(&self, argv: &[&str]) {
        assert!(self.try_run(argv), "{argv:?}");
    }

    #[track_caller]
    pub fn bind(&self, from: &Path, to: &Path) {
        self.run(&["mount", "--bind", text(from), text(to)]);
    }

    #[track_caller]
    pub fn tmpfs(&self, at: &Path) {
        self.run(&["mount", "-t", "tmpfs", "-o", "mode=755", "none", text(at)]);
    }

    #[track_caller]
    pub fn unmount(&self, at: &Path) {
        // Whoever reads there just now makes it busy.
        until("it is unmounted", || self.try_run(&["umount", text(at)]));
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A tmpfs in the namespace of the tests themselves, until this is dropped.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounted at a folder with these options (mount(8)). `None`, and a word of it, where nothing may be mounted.
    pub fn at(test: &str, folder: &Path, options: &str) -> Option<Self> {
        if !is_root(test) {
            return None;
        }
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "renewd-test"]).arg(folder).status();
        if !mounted.is_ok_and(|status| status.success()) {
            skipped(test, "nothing may be mounted here");
            return None;
        }
        Some(Self(folder.to_owned()))
    }

    pub fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(status.expect("mount").success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
