//! Owns: a machine of a test's own, as far as files and users go: /etc, /run, /var/lib and /root in a mount namespace, with the users
//! `renewd` and `alice` and the group `jobs`, in which the real binary runs as any of them.
//! Does not: run systemd, or say what is right.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{Ran, Sandbox, is_root, until};

/// The user `renewd` and its group.
pub(crate) const RENEWD: u32 = 990;
/// The user `alice` and her group.
pub(crate) const ALICE: u32 = 1990;
/// The group `jobs`.
pub(crate) const JOBS: u32 = 991;

pub(crate) struct Machine {
    sandbox: Sandbox,
    /// Holds the namespace.
    holder: Child,
}

/// What a command is run as.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    uid: u32,
    groups: &'static [u32],
    home: &'static str,
}

pub(crate) const ROOT: Who = Who { uid: 0, groups: &[0], home: "/root" };
pub(crate) const SERVICE: Who = Who { uid: RENEWD, groups: &[RENEWD], home: "/" };
pub(crate) const SERVICE_IN_JOBS: Who = Who { uid: RENEWD, groups: &[RENEWD, JOBS], home: "/" };
pub(crate) const PERSON: Who = Who { uid: ALICE, groups: &[ALICE], home: "/home/alice" };

pub(crate) const PERSON_IN_JOBS: Who = Who { uid: ALICE, groups: &[ALICE, JOBS], home: "/home/alice" };

impl Machine {
    /// `None`, and a word of it, without root.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !is_root(test) {
            return None;
        }
        let sandbox = Sandbox::new();
        let binary = sandbox.path("renewd");
        fs::copy(support::binary(), &binary).expect("cp");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("chmod");
        let mounts = "for at in /etc /run /var/lib /root /home; do mount -t tmpfs -o mode=755 none $at || exit 1; done; \
             chmod 700 /root; : > \"$1\"; exec sleep 600";
        let up = sandbox.path("up");
        let holder = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", mounts, "sh"])
            .arg(&up)
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare");
        let machine = Self { sandbox, holder };
        until("the machine is there", || up.exists());
        machine.put(
            "/etc/passwd",
            &format!(
                "root:x:0:0::/root:/bin/sh\nrenewd:x:{RENEWD}:{RENEWD}::/:/usr/sbin/nologin\n\
                 alice:x:{ALICE}:{ALICE}::/home/alice:/bin/sh\n"
            ),
            0o644,
            0,
        );
        machine.put(
            "/etc/group",
            &format!("root:x:0:\nrenewd:x:{RENEWD}:\nalice:x:{ALICE}:\njobs:x:{JOBS}:\n"),
            0o644,
            0,
        );
        machine.put("/etc/nsswitch.conf", "passwd: files\ngroup: files\n", 0o644, 0);
        machine.folder("/home/alice", 0o700, ALICE);
        machine.folder("/etc/renewd", 0o750, 0);
        chown(machine.at("/etc/renewd"), Some(0), Some(RENEWD)).expect("chown");
        machine.folder("/run/renewd", 0o755, RENEWD);
        Some(machine)
    }

    /// Where a path of the machine is for this test.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.holder.id()))
    }

    pub(crate) fn folder(&self, path: &str, mode: u32, owner: u32) {
        fs::create_dir_all(self.at(path)).expect("mkdir");
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).expect("chmod");
        chown(self.at(path), Some(owner), Some(owner)).expect("chown");
    }

    pub(crate) fn put(&self, path: &str, text: &str, mode: u32, owner: u32) {
        fs::write(self.at(path), text).expect("a file");
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).expect("chmod");
        chown(self.at(path), Some(owner), Some(owner)).expect("chown");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn command(&self, who: Who, env: &[(&str, &str)], args: &[&str]) -> Command {
        let mut command = self.entered(who, env);
        command.arg(self.sandbox.path("renewd")).args(args);
        command
    }

    fn entered(&self, who: Who, env: &[(&str, &str)]) -> Command {
        let groups: Vec<String> = who.groups.iter().map(u32::to_string).collect();
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-m", "--wd=/", "setpriv"]);
        command.args(["--reuid", &who.uid.to_string(), "--regid", &groups[0], "--groups", &groups.join(",")]);
        command.args(["env", "-i", "PATH=/usr/bin:/bin", &format!("HOME={}", who.home)]);
        command.args(env.iter().map(|(name, value)| format!("{name}={value}")));
        command
    }

    /// Any other program, killed when it is let go of.
    pub(crate) fn program(&self, who: Who, argv: &[&str]) -> Program {
        let mut command = self.entered(who, &[]);
        command.args(argv).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Program(command.spawn().expect("nsenter"))
    }

    /// Runs the binary to its end, with HOME and PATH and nothing else in its environment.
    pub(crate) fn run(&self, who: Who, args: &[&str]) -> Ran {
        self.run_in(who, &[], args)
    }

    /// The same with more in its environment.
    pub(crate) fn run_in(&self, who: Who, env: &[(&str, &str)], args: &[&str]) -> Ran {
        self.sandbox.finish(self.command(who, env, args), "")
    }

    /// `renewd run` as a service has it, of this config, with the folders of that name below /run and /var/lib.
    pub(crate) fn service(&self, who: Who, config: &str, folders: &str) -> Service<'_> {
        let (runtime, state) = (format!("/run/{folders}"), format!("/var/lib/{folders}"));
        self.folder(&runtime, 0o755, who.uid);
        self.folder(&state, 0o700, who.uid);
        let env = [("RUNTIME_DIRECTORY", runtime.as_str()), ("STATE_DIRECTORY", state.as_str())];
        let log = self.sandbox.path(&format!("log-{}", folders.replace('/', "-")));
        let mut command = self.command(who, &env, &["run", "-c", config]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a log"));
        let child = command.spawn().expect("nsenter");
        let service = Service { child, log, _machine: self };
        let socket = self.at(&format!("{runtime}/control.sock"));
        until("it listens", || socket.exists());
        service
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A program of a test in a machine.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon in a machine. nsenter and setpriv become it, so that its process is the child.
pub(crate) struct Service<'m> {
    child: Child,
    log: PathBuf,
    _machine: &'m Machine,
}

impl Service<'_> {
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("kill");
        let status = self.child.wait().expect("wait");
        assert!(status.success(), "{status}: {}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- log\n{}", self.log());
        }
    }
}

/// Who owns a file.
pub(crate) fn owner_of(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).uid()
}
