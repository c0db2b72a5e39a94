//! Owns: an authorization server on loopback where somebody logs in as a test decides, and whose refresh tokens are good once: one
//! that comes back ends its family (RFC 9700 4.14.2).
//! Does not: know anything of renewd.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use serde_json::{Value, json};

use support::http::{Act, Seen, Server, json as answer_with, refusal};
use support::{Sandbox, eventually};

/// What the token endpoint says to a code, one after the other; then it is good.
#[derive(Default)]
struct Inner {
    says: VecDeque<(u16, Value)>,
    /// Members that the answer to a code does not have, or has otherwise.
    odd: BTreeMap<String, Value>,
    /// Logins until now.
    logins: u32,
    /// Of each family, the number that is good now; a family that has ended is not there.
    families: BTreeMap<u32, u32>,
    metadata: BTreeMap<String, Value>,
    device: BTreeMap<String, Value>,
}

pub(crate) struct Issuer {
    pub server: Server,
    inner: Arc<Mutex<Inner>>,
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let inner = Arc::<Mutex<Inner>>::default();
        let (address, serving) = (Arc::<OnceLock<String>>::default(), inner.clone());
        let own = address.clone();
        let server = Server::start(move |seen| serving.lock().expect("the issuer").answer(seen, own.get()));
        address.set(server.url("")).expect("once");
        Self { server, inner }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("the issuer")
    }

    /// The next answers to whoever asks with a code.
    pub(crate) fn says(&self, answers: impl IntoIterator<Item = (u16, &'static str)>) {
        let body = |error: &str| json!({ "error": error });
        self.lock().says.extend(answers.into_iter().map(|(status, error)| (status, body(error))));
    }

    /// A member of the answer that ends a login; null: it is not there.
    pub(crate) fn odd(&self, member: &str, value: Value) {
        self.lock().odd.insert(member.into(), value);
    }

    /// A member of its metadata.
    pub(crate) fn tells(&self, member: &str, value: Value) {
        self.lock().metadata.insert(member.into(), value);
    }

    /// A member of the answer that begins a login by a device code.
    pub(crate) fn device(&self, member: &str, value: Value) {
        self.lock().device.insert(member.into(), value);
    }

    /// The family is good no more.
    pub(crate) fn ends(&self, family: u32) {
        self.lock().families.remove(&family);
    }

    pub(crate) fn is_alive(&self, family: u32) -> bool {
        self.lock().families.contains_key(&family)
    }

    pub(crate) fn logins(&self) -> u32 {
        self.lock().logins
    }

    /// The refresh token of a family that is good now.
    pub(crate) fn current(&self, family: u32) -> String {
        refresh_token(family, self.lock().families[&family])
    }

    /// Requests with this grant, as they came.
    pub(crate) fn asked(&self, grant: &str) -> Vec<Seen> {
        let seen = self.server.seen_at("/token").into_iter();
        seen.filter(|seen| seen.field("grant_type").is_some_and(|found| found.ends_with(grant))).collect()
    }
}

pub(crate) fn refresh_token(family: u32, number: u32) -> String {
    format!("refresh.{family}.{number}.hunter2")
}

pub(crate) fn access_token(family: u32, number: u32) -> String {
    format!("access.{family}.{number}")
}

impl Inner {
    fn answer(&mut self, seen: &Seen, own: Option<&String>) -> Act {
        let own = own.expect("an address");
        match seen.path.split('?').next().unwrap_or_default() {
            "/.well-known/oauth-authorization-server" => {
                let mut metadata = json!({
                    "issuer": own,
                    "token_endpoint": format!("{own}/token"),
                    "device_authorization_endpoint": format!("{own}/device"),
                    "authorization_endpoint": format!("{own}/authorize"),
                });
                set(&mut metadata, &self.metadata);
                answer_with(metadata)
            }
            "/device" => {
                let mut body = json!({
                    "device_code": "device.hunter2",
                    "user_code": "WDJB-MJHT",
                    "verification_uri": format!("{own}/verify"),
                    "expires_in": 60,
                    "interval": 1,
                });
                set(&mut body, &self.device);
                answer_with(body)
            }
            "/token" => self.token(seen),
            _ => refusal(404, "{}"),
        }
    }

    fn token(&mut self, seen: &Seen) -> Act {
        if seen.field("grant_type").as_deref() == Some("refresh_token") {
            return self.refresh(&seen.field("refresh_token").unwrap_or_default());
        }
        if let Some((status, body)) = self.says.pop_front() {
            return refusal(status, &body.to_string());
        }
        self.logins += 1;
        self.families.insert(self.logins, 0);
        let mut body = tokens(self.logins, 0);
        set(&mut body, &self.odd);
        answer_with(body)
    }

    fn refresh(&mut self, sent: &str) -> Act {
        let mut parts = sent.split('.').skip(1).map_while(|part| part.parse::<u32>().ok());
        let (Some(family), Some(number)) = (parts.next(), parts.next()) else {
            return refusal(400, r#"{"error": "invalid_grant"}"#);
        };
        if self.families.get(&family) != Some(&number) {
            self.families.remove(&family);
            return refusal(400, r#"{"error": "invalid_grant"}"#);
        }
        self.families.insert(family, number + 1);
        answer_with(tokens(family, number + 1))
    }
}

fn tokens(family: u32, number: u32) -> Value {
    json!({
        "access_token": access_token(family, number),
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": refresh_token(family, number),
    })
}

fn set(body: &mut Value, members: &BTreeMap<String, Value>) {
    for (name, value) in members {
        body[name] = value.clone();
    }
    body.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
}

/// A token that waits for its login, in a sandbox.
pub(crate) struct Mail {
    pub sandbox: Sandbox,
    pub issuer: Issuer,
}

impl Mail {
    pub(crate) fn new() -> Self {
        let mail = Self { sandbox: Sandbox::new(), issuer: Issuer::start() };
        mail.config("flow = \"device\"", "");
        mail
    }

    /// With these words in `login`, and further lines of the token.
    pub(crate) fn config(&self, login: &str, lines: &str) -> PathBuf {
        self.sandbox.config(format!(
            "[token.mail]\nsource = \"oauth2\"\nissuer = \"{}\"\ngrant = \"refresh_token\"\nclient_id = \"mail\"\n\
             login = {{ {login} }}\nmin_interval = \"0s\"\nrequired = false\n{lines}\n\
             [[token.mail.output]]\nformat = \"token\"\npath = \"out/mail.token\"\n",
            self.issuer.server.url("")
        ))
    }

    /// `renewd login mail`, which nobody waits for.
    pub(crate) fn logging_in(&self) -> Child {
        let mut command = self.sandbox.command(&[]);
        command.args(["login", "mail", "-c"]).arg(self.sandbox.path("config.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the binary starts")
    }

    pub(crate) fn delivered(&self) -> Option<String> {
        std::fs::read_to_string(self.sandbox.out("mail.token")).ok()
    }

    /// Whether the bytes of the state hold this.
    pub(crate) fn state_holds(&self, text: &str) -> bool {
        let folder = self.sandbox.path("state");
        let logs = support::names_in(&folder).into_iter().filter(|name| name.ends_with(".log"));
        let mut logs = logs.filter_map(|name| std::fs::read(folder.join(name)).ok());
        logs.any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    /// The token's status, once its reason is this one.
    #[track_caller]
    pub(crate) fn waits_for(&self, daemon: &support::Daemon<'_>, reason: &str) -> Value {
        eventually(support::PATIENCE, "the reason", || {
            let token = daemon.token("mail");
            (token["reason"] == reason).then_some(token)
        })
    }
}
