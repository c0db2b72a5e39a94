//! Owns: sending log entries with fields to the journal by its native protocol (systemd, JOURNAL_NATIVE_PROTOCOL): one
//! datagram an entry. It never blocks for long: what cannot be sent at once is for standard error to carry.
//! Does not: decide whether the journal is there to be used, or mask anything.
//!
//! The crates that speak it send from a blocking socket, which a journal that hangs would hold the daemon with.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec};

/// Where journald listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// A journal that takes no more is waited for so long, once: until it takes something again no line waits for it.
const JOURNAL_WAIT_NANOS: i64 = 100_000_000;

pub(super) struct Journal {
    socket: UnixDatagram,
    is_full: AtomicBool,
}

impl Journal {
    /// `None`: it is not to be had, which a sandbox may well want.
    pub(super) fn connect(path: &Path) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(path).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, is_full: AtomicBool::new(false) })
    }

    /// False where it was not taken: the journal is gone, full, or the entry too large for a datagram.
    pub(super) fn send<'a>(&self, fields: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        let mut entry = Vec::new();
        for (name, value) in fields {
            put(&mut entry, name, value);
        }
        let is_sent = match self.socket.send(&entry) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.has_room() && self.socket.send(&entry).is_ok(),
            sent => sent.is_ok(),
        };
        self.is_full.store(!is_sent, Ordering::Relaxed);
        is_sent
    }

    fn has_room(&self) -> bool {
        if self.is_full.load(Ordering::Relaxed) {
            return false;
        }
        let mut polled = [PollFd::new(&self.socket, PollFlags::OUT)];
        let patience = Timespec { tv_sec: 0, tv_nsec: JOURNAL_WAIT_NANOS };
        rustix::event::poll(&mut polled, Some(&patience)).is_ok_and(|ready| ready > 0)
    }
}

/// `NAME=value`, or where the value has lines the name, a newline, its length in 64 bits little endian, and the value.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_datagram_an_entry_with_lines_by_their_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        assert!(Journal::connect(&path).is_none());
        let server = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::connect(&path).unwrap();
        assert!(journal.send([("PRIORITY", "6"), ("MESSAGE", "one\ntwo")].into_iter()));
        let mut buffer = [0; 256];
        let read = server.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"PRIORITY=6\nMESSAGE\n\x07\0\0\0\0\0\0\0one\ntwo\n");
        // Nobody reads: it is full some time, and says so within its patience.
        let full = (0..100_000).any(|_| !journal.send([("MESSAGE", "x")].into_iter()));
        assert!(full);
        // Then no line waits: a journal that hangs must not slow down who logs much.
        let began = std::time::Instant::now();
        assert!((0..100).all(|_| !journal.send([("MESSAGE", "x")].into_iter())));
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
        server.recv(&mut buffer).unwrap();
        assert!(journal.send([("MESSAGE", "x")].into_iter()), "there is room again");
        drop(server);
        assert!(!journal.send([("MESSAGE", "x")].into_iter()));
    }
}
