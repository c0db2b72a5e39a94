//! Owns: a sandbox with one token that is obtained by a refresh token, by either source that takes one.
//! Does not: assert promises.

use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::idp::{Grace, Idp};
use support::{Daemon, PATIENCE, Sandbox, eventually, names_in};

pub(crate) const FAMILY: &str = "portal";
/// Longer than any test takes.
pub(crate) const LONG: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    OAuth2,
    Http,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::OAuth2, Kind::Http];

pub(crate) struct Portal {
    pub sandbox: Sandbox,
    pub idp: Idp,
    pub kind: Kind,
}

impl Portal {
    pub(crate) fn new(kind: Kind, grace: Grace) -> Self {
        let (sandbox, idp) = (Sandbox::new(), Idp::start(grace));
        sandbox.put("first.refresh", idp.family(FAMILY));
        let portal = Self { sandbox, idp, kind };
        portal.config("");
        portal
    }

    /// Its entry, with further lines.
    pub(crate) fn entry(&self, lines: &str) -> String {
        let source = match self.kind {
            Kind::OAuth2 => format!(
                "source = \"oauth2\"\ngrant = \"refresh_token\"\ntoken_url = \"{}\"\nclient_id = \"jobs\"\n\
                 client_auth = \"none\"\n",
                self.idp.url("token")
            ),
            Kind::Http => format!(
                "source = \"http\"\nmethod = \"POST\"\nurl = \"{}\"\nform = {{ refresh_token = \"{{{{ refresh_token }}}}\" \
                 }}\nresponse = {{ token = \"/result/access_token\", expires_in = \"/result/expires_in\", refresh_token = \
                 \"/result/refresh_token\" }}\n",
                self.idp.url("portal")
            ),
        };
        format!(
            "[token.{FAMILY}]\n{source}refresh_token.file = \"first.refresh\"\nmin_interval = \"0s\"\n{lines}\n\
             [[token.{FAMILY}.output]]\nformat = \"token\"\npath = \"out/portal.token\"\n"
        )
    }

    pub(crate) fn config(&self, lines: &str) -> PathBuf {
        self.sandbox.config(self.entry(lines))
    }

    /// Rotates beside this thread; the daemon may be killed meanwhile.
    pub(crate) fn rotate_beside(&self) -> JoinHandle<()> {
        let mut command = self.sandbox.command(&[]);
        command.args(["rotate", "--force", "-c"]).arg(self.sandbox.path("config.toml"));
        std::thread::spawn(move || drop(command.output().expect("the binary starts")))
    }

    /// `out/portal.token` where it is there.
    pub(crate) fn delivered(&self) -> Option<String> {
        fs::read_to_string(self.sandbox.out("portal.token")).ok()
    }

    /// The bytes of the state.
    pub(crate) fn state(&self) -> Vec<u8> {
        let folder = self.sandbox.path("state");
        let log = names_in(&folder).into_iter().find(|name| name.ends_with(".log"));
        log.and_then(|name| fs::read(folder.join(name)).ok()).unwrap_or_default()
    }

    pub(crate) fn state_holds(&self, text: &str) -> bool {
        self.state().windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// The family lives: another exchange succeeds, and its token is delivered.
    #[track_caller]
    pub(crate) fn assert_alive(&self, daemon: &Daemon<'_>) {
        assert!(!self.idp.is_revoked(FAMILY), "revoked: {:?}\n{}", self.idp.seen(), daemon.log());
        let rotated = self.sandbox.rotate(&[FAMILY]);
        let revoked = self.idp.is_revoked(FAMILY);
        assert!(rotated && !revoked, "rotated: {rotated}, revoked: {revoked}: {:?}\n{}", self.idp.seen(), daemon.log());
        let number = self.idp.current(FAMILY).rsplit_once('.').map(|(_, number)| number.to_owned()).unwrap();
        assert_eq!(self.delivered(), Some(format!("access.{FAMILY}.{number}")));
    }

    /// A daemon that starts now goes on with the family: the first refresh token was sent once.
    #[track_caller]
    pub(crate) fn assert_goes_on(&self) {
        let daemon = self.sandbox.start();
        self.assert_alive(&daemon);
        daemon.stop();
        assert_eq!(self.idp.seen().iter().filter(|token| *token == "portal.0").count(), 1, "the first one, once");
    }

    /// The token's `status`, once it has failed.
    pub(crate) fn failure(&self, daemon: &Daemon<'_>) -> serde_json::Value {
        eventually(PATIENCE, "it has failed", || {
            let token = daemon.token(FAMILY);
            (token["failures"].as_u64()? > 0).then_some(token)
        })
    }
}

/// The daemon that strace runs. It would outlive strace: it is killed when the test lets go of it.
pub(crate) struct Traced(pub Pid);

impl Traced {
    pub(crate) fn below(strace: &Daemon<'_>) -> Self {
        let pid = strace.pid();
        let children = format!("/proc/{pid}/task/{pid}/children");
        Self(eventually(PATIENCE, "strace's child", || {
            let text = fs::read_to_string(&children).ok()?;
            Pid::from_raw(text.split_whitespace().next()?.parse().ok()?)
        }))
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}
