//! Owns: an authorization server on loopback that rotates refresh tokens: each is good once, and one that comes back
//! revokes the whole family (RFC 9700 4.14.2). With a grace, the one that was used last is good again for a while.
//! It can be held at any step of an exchange, so that a test can end the other side there.
//! Does not: know anything of renewd.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use support::PATIENCE;
use support::http::{Answer, LOOPBACK, Seen, listen, reset};

/// A step of an exchange, as the server sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// The connection stands, nothing is read.
    Connected,
    /// The request is read in full, and nothing is done about it.
    Received,
    /// The token is spent and its successor made; nothing is answered.
    Processed,
    /// Half of the answer is written.
    HalfAnswered,
    /// All of it is written, and the connection closed.
    Answered,
}

/// What becomes of a refresh token that comes again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grace {
    None,
    /// The last one that was used is taken again so long, and answered with the successor that was made.
    SameSuccessor(Duration),
    /// ... and answered with a further one; the one that was made first is not good any more.
    NewSuccessor(Duration),
}

#[derive(Debug)]
struct Family {
    number: u32,
    used: Option<(String, Instant)>,
    revoked: bool,
}

/// How the exchange that comes next is to be disturbed.
#[derive(Clone, Debug)]
enum Mischief {
    /// Stops there until it is let go; then the connection is closed as it is.
    Hold(Step),
    /// Stops when a request for such a path is read in full.
    HoldPath(String),
    /// The connection is reset once the token is spent.
    Reset,
    /// This stands in the place of an answer; the token is spent.
    Say(u16, String),
}

#[derive(Default)]
struct Inner {
    families: BTreeMap<String, Family>,
    grace: Option<Grace>,
    mischief: Option<Mischief>,
    /// Where the exchange that is held stands.
    reached: Option<Step>,
    /// Counted up by `let_go`; who is held waits for it to change.
    let_go: u64,
    seen: Vec<String>,
    under_way: usize,
    most_at_once: usize,
    slow: Duration,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

pub(crate) struct Idp {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Idp {
    pub(crate) fn start(grace: Grace) -> Self {
        let shared = Arc::new(Shared::default());
        shared.lock().grace = Some(grace);
        let serving = Arc::clone(&shared);
        Self { address: listen(LOOPBACK, move |stream| serving.serve(&stream)), shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock()
    }

    /// A new family; its first refresh token.
    pub(crate) fn family(&self, name: &str) -> String {
        self.lock().families.insert(name.into(), Family { number: 0, used: None, revoked: false });
        refresh_token(name, 0)
    }

    /// The refresh token that is good now.
    pub(crate) fn current(&self, family: &str) -> String {
        self.lock().current(family)
    }

    pub(crate) fn is_revoked(&self, family: &str) -> bool {
        self.lock().families[family].revoked
    }

    /// The next exchange stops at this step.
    pub(crate) fn hold_at(&self, step: Step) {
        let mut inner = self.lock();
        (inner.mischief, inner.reached) = (Some(Mischief::Hold(step)), None);
    }

    /// The next request whose path holds this stops when it is read.
    pub(crate) fn hold_path(&self, part: &str) {
        let mut inner = self.lock();
        (inner.mischief, inner.reached) = (Some(Mischief::HoldPath(part.into())), None);
    }

    /// The next answer is lost: its connection is reset once the token is spent.
    pub(crate) fn reset_next(&self) {
        self.lock().mischief = Some(Mischief::Reset);
    }

    /// The next answer is this one, and the token is spent. `{next}` becomes its successor.
    pub(crate) fn say_next(&self, status: u16, body: &str) {
        self.lock().mischief = Some(Mischief::Say(status, body.into()));
    }

    /// Each exchange takes so long.
    pub(crate) fn be_slow(&self, slow: Duration) {
        self.lock().slow = slow;
    }

    /// Waits until the exchange that is held is there.
    #[track_caller]
    pub(crate) fn wait_held(&self) {
        let inner = self.lock();
        let held = self.shared.changed.wait_timeout_while(inner, PATIENCE, |inner| inner.reached.is_none());
        assert!(held.expect("the server's state").0.reached.is_some(), "no exchange came to the step");
    }

    /// Whoever is held goes on: its connection is closed as it is.
    pub(crate) fn let_go(&self) {
        self.lock().let_go += 1;
        self.shared.changed.notify_all();
    }

    /// The refresh tokens that came, in their order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.lock().seen.clone()
    }

    pub(crate) fn forget(&self) {
        self.lock().seen.clear();
    }

    /// How many exchanges of one family were under way at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.lock().most_at_once
    }
}

impl Inner {
    fn current(&self, family: &str) -> String {
        refresh_token(family, self.families[family].number)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("the server's state")
    }

    /// Whether an exchange stopped here, and was let go.
    fn hold(&self, step: Step, path: &str) -> bool {
        let mut inner = self.lock();
        let is_meant = match &inner.mischief {
            Some(Mischief::Hold(at)) => *at == step,
            Some(Mischief::HoldPath(part)) => step == Step::Received && path.contains(part.as_str()),
            _ => false,
        };
        if !is_meant {
            return false;
        }
        inner.mischief = None;
        inner.reached = Some(step);
        self.changed.notify_all();
        let number = inner.let_go;
        let waited = self.changed.wait_timeout_while(inner, PATIENCE * 3, |inner| inner.let_go == number);
        drop(waited.expect("the server's state"));
        true
    }

    fn serve(&self, stream: &TcpStream) {
        if self.hold(Step::Connected, "") {
            return;
        }
        let Ok(Some(seen)) = Seen::read(&mut BufReader::new(stream)) else { return };
        let token = seen.field("refresh_token").unwrap_or_default();
        {
            let mut inner = self.lock();
            inner.seen.push(token.clone());
            inner.under_way += 1;
            inner.most_at_once = inner.most_at_once.max(inner.under_way);
        }
        self.exchange(stream, &seen.path, &token);
        self.lock().under_way -= 1;
    }

    fn exchange(&self, mut stream: &TcpStream, path: &str, token: &str) {
        if self.hold(Step::Received, path) {
            return;
        }
        let slow = self.lock().slow;
        std::thread::sleep(slow);
        let (status, body) = self.process(path, token);
        let mischief = self.lock().mischief.clone();
        let (status, body) = match mischief {
            Some(Mischief::Reset) => {
                self.lock().mischief = None;
                // Dropped with it, by whoever called.
                let _ = reset(stream);
                return;
            }
            Some(Mischief::Say(status, said)) => {
                self.lock().mischief = None;
                (status, said.replace("{next}", &self.lock().current(token.split('.').next().unwrap_or_default())))
            }
            _ => (status, body),
        };
        if self.hold(Step::Processed, path) {
            return;
        }
        let kind = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Connection", "close")];
        let headers = kind.map(|(name, value)| (name, value.to_owned())).into();
        let half = body.len() / 2;
        let answer = Answer { status, headers, body: body.into_bytes(), after: Duration::ZERO }.bytes();
        let (first, second) = answer.split_at(answer.len() - half);
        // The other side may be gone: that is what is tested.
        let _ = stream.write_all(first);
        if self.hold(Step::HalfAnswered, path) {
            return;
        }
        let _ = stream.write_all(second);
        let _ = stream.shutdown(Shutdown::Both);
        self.hold(Step::Answered, path);
    }

    fn process(&self, path: &str, token: &str) -> (u16, String) {
        if path != "/token" && path != "/portal" {
            let plain = r#"{"access_token":"plain","expires_in":3600,"id":1}"#;
            return (200, plain.into());
        }
        let mut inner = self.lock();
        let refused = (400, r#"{"error":"invalid_grant","error_description":"The refresh token is spent"}"#.into());
        let (name, number) = token.split_once('.').unwrap_or_default();
        let grace = inner.grace;
        let Some(family) = inner.families.get_mut(name).filter(|family| !family.revoked) else { return refused };
        let is_current = number.parse() == Ok(family.number);
        let (again, same) = match (&family.used, grace) {
            (Some((used, at)), Some(Grace::SameSuccessor(grace))) => (used == token && at.elapsed() < grace, true),
            (Some((used, at)), Some(Grace::NewSuccessor(grace))) => (used == token && at.elapsed() < grace, false),
            _ => (false, false),
        };
        if is_current {
            family.number += 1;
            family.used = Some((token.into(), Instant::now()));
        } else if again && !same {
            family.number += 1;
        } else if !again {
            family.revoked = true;
            return refused;
        }
        let next = refresh_token(name, family.number);
        let access = format!("access.{name}.{}", family.number);
        match path {
            "/portal" => {
                let result = format!(r#""access_token":"{access}","expires_in":3600,"refresh_token":"{next}""#);
                (200, format!(r#"{{"result":{{{result}}}}}"#))
            }
            _ => (
                200,
                format!(
                    r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600,"refresh_token":"{next}"}}"#
                ),
            ),
        }
    }
}

pub(crate) fn refresh_token(family: &str, number: u32) -> String {
    format!("{family}.{number}")
}
