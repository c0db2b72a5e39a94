//! Owns: a command at a pseudo terminal of its own: what is typed, what is seen.
//! Does not: know what runs there. Escape sequences stay in what is seen.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use support::{PATIENCE, eventually};

pub(crate) struct Terminal {
    master: File,
    seen: Arc<Mutex<Vec<u8>>>,
    /// Where the next look begins.
    from: usize,
    child: Child,
}

impl Terminal {
    /// Runs `command` as the leader of a session whose terminal this is.
    pub(crate) fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("a size");
        let path = ptsname(&master, Vec::new()).expect("its name").into_string().expect("UTF-8");
        let side = OpenOptions::new().read(true).write(true).open(path).expect("the other side");
        // Not looked up in the $PATH that the command is given.
        let mut leader = Command::new("/usr/bin/setsid");
        leader.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => leader.env(name, value),
                None => leader.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            leader.current_dir(folder);
        }
        let again = || Stdio::from(side.try_clone().expect("dup"));
        leader.env("TERM", "xterm").stdin(again()).stdout(again()).stderr(again());
        let child = leader.spawn().expect("setsid of util-linux");
        let master = File::from(master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, into) = (master.try_clone().expect("dup"), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            // EIO: nobody has the other side open any more.
            while let Ok(length @ 1..) = reader.read(&mut some) {
                into.lock().expect("no panic").extend_from_slice(&some[..length]);
            }
        });
        Self { master, seen, from: 0, child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("it is read");
    }

    /// Waits until `what` is seen behind all that was waited for before; what came up to its end.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str) -> String {
        let seen = Arc::clone(&self.seen);
        let from = self.from;
        let look = || {
            let seen = seen.lock().expect("no panic");
            let at = seen[from..].windows(what.len()).position(|window| window == what.as_bytes())?;
            Some(from + at + what.len())
        };
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(end) = look() {
                self.from = end;
                return String::from_utf8_lossy(&seen.lock().expect("no panic")[from..end]).into_owned();
            }
            assert!(std::time::Instant::now() < end, "{what:?} is not seen: {:?}", self.all());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// All that was ever seen.
    pub(crate) fn all(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no panic")).into_owned()
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.master).expect("its settings").local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the command's end; its exit code, or `None` where a signal ended it.
    pub(crate) fn end(&mut self) -> Option<i32> {
        eventually(PATIENCE, "the command ends", || self.child.try_wait().expect("wait")).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
