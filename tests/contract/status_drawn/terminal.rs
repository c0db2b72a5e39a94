//! Owns: a pseudo terminal with the binary on it: what it wrote, and what a person sees after that.
//! Does not: know what is right.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use support::{PATIENCE, Sandbox, eventually, until};

/// `renewd status` with nothing in its environment that bears on the drawing, but TZ and TERM.
pub(super) fn status(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = sandbox.command(&[]);
    command.arg("status").arg("--socket").arg(sandbox.path("control.sock")).args(args);
    for name in ["COLUMNS", "LINES", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").env("TZ", "UTC");
    command
}

pub(super) struct Terminal {
    master: OwnedFd,
    seen: Arc<Mutex<Seen>>,
    reader: Option<JoinHandle<()>>,
    child: Child,
}

struct Seen {
    bytes: Vec<u8>,
    parser: vt100::Parser,
}

impl Terminal {
    /// Starts a command on a terminal of that size.
    pub(super) fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&master, flags).expect("its other end");
        tcsetwinsize(&master, size(columns, rows)).expect("a size");
        let end = || File::from(slave.try_clone().expect("dup"));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the binary starts");
        drop((command, slave));
        let seen = Arc::new(Mutex::new(Seen {
            bytes: Vec::new(),
            parser: vt100::Parser::new(cells(rows), cells(columns), 0),
        }));
        let (mut from, into) = (File::from(master.try_clone().expect("dup")), Arc::clone(&seen));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last end that closes is EIO.
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                let mut seen = into.lock().expect("seen");
                seen.bytes.extend_from_slice(&buffer[..read]);
                seen.parser.process(&buffer[..read]);
            }
        });
        Self { master, seen, reader: Some(reader), child }
    }

    /// Waits until that is seen, wherever its lines are folded.
    #[track_caller]
    pub(super) fn shows(&self, what: &str) {
        let end = std::time::Instant::now() + PATIENCE;
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        while !words(&self.screen()).contains(what) {
            assert!(std::time::Instant::now() < end, "not shown: {what}\n{}", self.screen());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// What a person sees now.
    pub(super) fn screen(&self) -> String {
        self.seen.lock().expect("seen").parser.screen().contents()
    }

    /// The alternate screen is on, and the cursor hidden.
    pub(super) fn is_taken(&self) -> (bool, bool) {
        let seen = self.seen.lock().expect("seen");
        (seen.parser.screen().alternate_screen(), seen.parser.screen().hide_cursor())
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        self.seen.lock().expect("seen").parser.screen_mut().set_size(cells(rows), cells(columns));
        tcsetwinsize(&self.master, size(columns, rows)).expect("a size");
        self.send(Signal::WINCH);
    }

    pub(super) fn send(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).expect("a pid"), signal).expect("kill");
    }

    /// Whether the process is stopped, as by Ctrl-Z.
    pub(super) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("stat");
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Waits for its end: how it ended, and all it wrote.
    pub(super) fn end(mut self) -> (ExitStatus, String) {
        let status = eventually(PATIENCE, "the command ends", || self.child.try_wait().expect("wait"));
        if let Some(reader) = self.reader.take() {
            until("the terminal is read to its end", || reader.is_finished());
            reader.join().expect("the reader");
        }
        let seen = self.seen.lock().expect("seen");
        (status, String::from_utf8_lossy(&seen.bytes).replace("\r\n", "\n"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

/// A terminal that does not know its size still has room for a character.
fn cells(number: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(number).unwrap_or(std::num::NonZero::<u16>::MIN)
}
