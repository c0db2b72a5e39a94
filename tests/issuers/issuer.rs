//! Owns: a real authorization server that runs on loopback, and what it has seen.
//! Does not: issue tokens; that is done over there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use support::http::ask;
use support::{Sandbox, Serving, peer, python, repository};

/// One on loopback; it ends with this.
pub(crate) struct Issuer {
    _serving: Serving,
    pages: u16,
    /// What its metadata calls it.
    pub issuer: String,
    pub token_url: String,
}

/// Certificates for one that speaks TLS.
pub(crate) struct Tls<'a> {
    pub cert: &'a Path,
    pub key: &'a Path,
    pub ca: &'a Path,
}

impl Issuer {
    /// The OpenID provider with these clients (metadata of OpenID Connect Registration). `None`: `test` has to be skipped.
    pub(crate) fn oidc(test: &str, sandbox: &Sandbox, clients: &Value, tls: Option<&Tls<'_>>) -> Option<Self> {
        let folder = peer(test, "oidc")?;
        let tls_files = tls.map(|tls| json!({"cert": tls.cert, "key": tls.key, "ca": tls.ca}));
        let config = sandbox.put("provider.json", json!({"clients": clients, "tls": tls_files}).to_string());
        let mut node = Command::new("node");
        node.arg(script("provider.mjs")).arg(folder.join("node_modules")).arg(config).env_remove("NODE_OPTIONS");
        let scheme = if tls.is_some() { "https" } else { "http" };
        Some(Self::start(node, |port| {
            let issuer = format!("{scheme}://localhost:{port}");
            let token_url = format!("{issuer}/token");
            (issuer, token_url)
        }))
    }

    /// The server of Authlib with these clients (see `server.py`). `None`: `test` has to be skipped.
    pub(crate) fn authlib(test: &str, sandbox: &Sandbox, clients: &Value) -> Option<Self> {
        let mut command = Command::new(python(test, "authlib")?);
        let config = sandbox.put("server.json", json!({"clients": clients}).to_string());
        command.arg("-I").arg(script("server.py")).arg(config);
        Some(Self::start(command, |port| {
            let issuer = format!("http://127.0.0.1:{port}/tenant");
            let token_url = format!("{issuer}/token");
            (issuer, token_url)
        }))
    }

    /// The server of django-oauth-toolkit, with the client `jobs` of this secret, and so many seconds of grace for a refresh token
    /// that comes again. `None`: `test` has to be skipped.
    pub(crate) fn django(
        test: &str,
        sandbox: &Sandbox,
        secret: &str,
        grace: u32,
        reuse_protection: bool,
    ) -> Option<Self> {
        let mut command = Command::new(python(test, "django")?);
        let database = sandbox.path("django.sqlite");
        let config = json!({"database": database, "id": "jobs", "secret": secret, "grace": grace,
            "reuse_protection": reuse_protection});
        let config = sandbox.put("django.json", config.to_string());
        command.arg("-I").arg(script("django_server.py")).arg(config);
        Some(Self::start(command, |port| {
            let issuer = format!("http://127.0.0.1:{port}");
            let token_url = format!("{issuer}/token");
            (issuer, token_url)
        }))
    }

    fn start(mut command: Command, addresses: impl Fn(u16) -> (String, String)) -> Self {
        let serving = Serving::start(&mut command);
        let (issuer, token_url) = addresses(serving.port(0));
        Self { pages: serving.port(1), issuer, token_url, _serving: serving }
    }

    /// `token`: the requests to its token endpoint; `discovered`: how often its metadata was asked for.
    pub(crate) fn seen(&self) -> Value {
        self.page("GET", "/-/seen")
    }

    /// The requests of one client to its token endpoint, in order.
    pub(crate) fn asked_by(&self, client: &str) -> Vec<Value> {
        let seen = self.seen()["token"].take();
        seen.as_array().into_iter().flatten().filter(|asked| asked["client"] == client).cloned().collect()
    }

    /// A refresh token, as a login would have given it.
    pub(crate) fn first_refresh_token(&self, client: &str) -> String {
        let answer = self.page("POST", &format!("/-/first?client={client}"));
        answer["refresh_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Whether it takes this access token (`good`), and until when by its own book (`ends`, Unix seconds).
    pub(crate) fn good(&self, token: &str) -> Value {
        self.page("GET", &format!("/-/good?token={token}"))
    }

    fn page(&self, method: &str, path: &str) -> Value {
        let (_, body) = ask(self.pages, method, path, "");
        serde_json::from_str(&body).expect("JSON")
    }
}

fn script(name: &str) -> PathBuf {
    repository().join("tests/issuers").join(name)
}
