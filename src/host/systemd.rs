//! Owns: what the service manager is told (sd_notify(3)) and what it asks for (sd_watchdog_enabled(3)).
//! Does not: decide when. Without a service manager every call does nothing. No call ever blocks.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::core::printable::printable;

/// A STATUS= text is cut after this many bytes.
const STATUS_BYTES: usize = 500;
/// Datagrams that are kept for a service manager that does not read.
const BACKLOG: usize = 16;

/// The way to the service manager, read from the environment once.
#[derive(Debug)]
pub(crate) struct Notifier {
    line: Option<(UnixDatagram, SocketAddr)>,
    backlog: VecDeque<String>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// From `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, as `variable` tells them.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` names no address that can be used: to be logged; use [`Notifier::silent`] then.
    pub(crate) fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let line = match variable("NOTIFY_SOCKET") {
            Some(name) if !name.is_empty() => Some(connect(&name)?),
            _ => None,
        };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = match variable("WATCHDOG_PID") {
            Some(_) => number("WATCHDOG_PID") == Some(u64::from(std::process::id())),
            None => true,
        };
        let micros = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0);
        Ok(Self { line, backlog: VecDeque::new(), watchdog: micros.map(Duration::from_micros) })
    }

    /// Tells nobody.
    pub(crate) fn silent() -> Self {
        Self { line: None, backlog: VecDeque::new(), watchdog: None }
    }

    /// True where a service manager listens.
    pub(crate) fn is_connected(&self) -> bool {
        self.line.is_some()
    }

    /// How often [`Notifier::watchdog`] is to be called: half of what the service manager waits. `None`: never.
    pub(crate) fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// READY=1 with a STATUS=: the first one ends the start, a later one a reload.
    pub(crate) fn ready(&mut self, status: &str) {
        let status = one_line(status);
        self.send(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// RELOADING=1 with MONOTONIC_USEC= in the same datagram, as systemd.service(5) asks of Type=notify-reload.
    pub(crate) fn reloading(&mut self) {
        match NotifyState::monotonic_usec_now() {
            Ok(at) => self.send(&[NotifyState::Reloading, at]),
            Err(_) => self.send(&[NotifyState::Reloading]),
        }
    }

    /// STOPPING=1 with a STATUS=.
    pub(crate) fn stopping(&mut self, status: &str) {
        let status = one_line(status);
        self.send(&[NotifyState::Stopping, NotifyState::Status(&status)]);
    }

    /// STATUS=: made one line and cut to a bounded length.
    pub(crate) fn status(&mut self, status: &str) {
        self.send(&[NotifyState::Status(&one_line(status))]);
    }

    /// WATCHDOG=1.
    pub(crate) fn watchdog(&mut self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// EXTEND_TIMEOUT_USEC=: the start, reload or stop under way may take this much longer, from now. At most 71 minutes.
    pub(crate) fn extend_timeout(&mut self, by: Duration) {
        let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// True where something found the socket full (net.unix.max_dgram_qlen, often 10) and waits for [`Notifier::catch_up`].
    pub(crate) fn is_behind(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Sends, after what could not be sent before. What finds the socket full is kept: a READY=1 is not lost.
    fn send(&mut self, states: &[NotifyState<'_>]) {
        if self.line.is_none() {
            return;
        }
        let datagram: String = states.iter().map(|state| format!("{state}\n")).collect();
        // The newest status or watchdog says all that an older one that is still unsent would have said.
        if self.backlog.len() == BACKLOG {
            let stale = self.backlog.iter().position(|d| !d.starts_with("READY=1"));
            self.backlog.remove(stale.unwrap_or(0));
        }
        self.backlog.push_back(datagram);
        self.catch_up();
    }

    /// Sends what could not be sent before, as far as the socket takes it. Other errors are those of a service manager that
    /// is gone; there is nobody to tell.
    pub(crate) fn catch_up(&mut self) {
        let Some((socket, address)) = &self.line else { return };
        while let Some(next) = self.backlog.front() {
            match socket.send_to_addr(next.as_bytes(), address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    self.backlog.pop_front();
                }
            }
        }
    }
}

fn connect(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "NOTIFY_SOCKET is neither a path nor an abstract address (@NAME): systemd is told nothing",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

fn one_line(text: &str) -> String {
    let mut line = printable(text);
    if line.len() > STATUS_BYTES {
        let end = line.floor_char_boundary(STATUS_BYTES - '…'.len_utf8());
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Manager {
        socket: UnixDatagram,
        _folder: Option<tempfile::TempDir>,
        name: OsString,
    }

    impl Manager {
        fn at_path() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("notify");
            let socket = UnixDatagram::bind(&path).unwrap();
            Self { socket, name: path.into(), _folder: Some(folder) }
        }

        fn notifier(&self) -> Notifier {
            Notifier::from_env(|name| (name == "NOTIFY_SOCKET").then(|| self.name.clone())).unwrap()
        }

        fn heard(&self) -> String {
            self.socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut buffer = [0; 4096];
            let len = self.socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..len].to_vec()).unwrap()
        }
    }

    #[test]
    fn each_word_is_one_datagram() {
        let manager = Manager::at_path();
        let mut notifier = manager.notifier();
        notifier.ready("2 tokens valid");
        assert_eq!(manager.heard(), "READY=1\nSTATUS=2 tokens valid\n");
        notifier.reloading();
        let heard = manager.heard();
        let usec = heard.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(usec.trim_end().parse::<u64>().unwrap() > 0);
        notifier.watchdog();
        assert_eq!(manager.heard(), "WATCHDOG=1\n");
        notifier.extend_timeout(Duration::from_secs(5));
        assert_eq!(manager.heard(), "EXTEND_TIMEOUT_USEC=5000000\n");
        notifier.extend_timeout(Duration::MAX);
        assert_eq!(manager.heard(), "EXTEND_TIMEOUT_USEC=4294967295\n");
        notifier.stopping("bye");
        assert_eq!(manager.heard(), "STOPPING=1\nSTATUS=bye\n");
    }

    #[test]
    fn a_status_can_not_smuggle_a_second_word_nor_be_endless() {
        let manager = Manager::at_path();
        let mut notifier = manager.notifier();
        notifier.status("bad\nREADY=1\r\0");
        assert_eq!(manager.heard(), "STATUS=bad READY=1\n");
        notifier.status(&"ü".repeat(4000));
        let heard = manager.heard();
        assert!(heard.ends_with("ü…\n") && heard.len() <= STATUS_BYTES + "STATUS=\n".len());
    }

    #[test]
    fn an_abstract_address_is_reached() {
        let name = format!("renewd-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = Manager {
            socket: UnixDatagram::bind_addr(&address).unwrap(),
            _folder: None,
            name: format!("@{name}").into(),
        };
        manager.notifier().watchdog();
        assert_eq!(manager.heard(), "WATCHDOG=1\n");
    }

    #[test]
    fn a_full_socket_neither_blocks_nor_loses_ready() {
        let manager = Manager::at_path();
        let mut notifier = manager.notifier();
        for n in 0..2000 {
            notifier.status(&n.to_string());
        }
        notifier.ready("late");
        for n in 2001..2100 {
            notifier.status(&n.to_string());
        }
        let mut heard = Vec::new();
        manager.socket.set_nonblocking(true).unwrap();
        for _ in 0..4 {
            let mut buffer = [0; 4096];
            while let Ok(len) = manager.socket.recv(&mut buffer) {
                heard.push(String::from_utf8(buffer[..len].to_vec()).unwrap());
            }
            notifier.watchdog();
        }
        assert!(heard.len() < 2000, "the socket was never full");
        assert!(heard.iter().any(|d| d == "READY=1\nSTATUS=late\n"));
        assert!(heard.iter().any(|d| d == "STATUS=2099\n"));
    }

    #[test]
    fn without_a_manager_nothing_happens_and_one_that_left_is_no_error() {
        let mut silent = Notifier::from_env(|_| None).unwrap();
        silent.ready("x");
        assert!(!silent.is_connected() && silent.watchdog_interval().is_none());
        let manager = Manager::at_path();
        let mut notifier = manager.notifier();
        drop(manager);
        notifier.ready("x");
        assert!(Notifier::from_env(|_| Some("relative".into())).is_err());
    }

    #[test]
    fn the_watchdog_is_ours_or_not() {
        let own = std::process::id().to_string();
        let cases = [
            (Some("20000000"), Some(own.as_str()), Some(10)),
            (Some("20000000"), None, Some(10)),
            (Some("20000000"), Some("1"), None),
            (Some("20000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
            (None, Some(own.as_str()), None),
        ];
        for (usec, pid, wanted) in cases {
            let notifier = Notifier::from_env(|name| match name {
                "WATCHDOG_USEC" => usec.map(OsString::from),
                "WATCHDOG_PID" => pid.map(OsString::from),
                _ => None,
            })
            .unwrap();
            assert_eq!(notifier.watchdog_interval(), wanted.map(Duration::from_secs), "{usec:?} {pid:?}");
        }
    }
}
