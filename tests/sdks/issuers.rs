//! Owns: the running endpoints of `issuers.py`, with a certificate of a private CA, and what they were sent.
//! Does not: judge tokens; that is done over there, by PyJWT.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::page::{self, Part};
use crate::venv::Venv;
use support::pki::Pki;
use support::{PATIENCE, Sandbox, eventually};

/// Endpoints on loopback; they end with this.
pub(crate) struct Issuers {
    child: Child,
    said: PathBuf,
    pub url: String,
    /// The CA's certificate.
    pub ca: String,
}

impl Issuers {
    /// Endpoints that trust the page's issuer, and want the audience of its config.
    pub(crate) fn start(venv: &Venv, sandbox: &Sandbox, part: &Part) -> Self {
        let pki = Pki::at(sandbox.dir());
        let ca = text(pki.authority("ca"));
        let certificate = pki.issue("tls", "2", EXTENSIONS);
        let (metadata, keys) = page::issuer(sandbox);
        let rule = json!({"keys": keys, "issuer": metadata["issuer"], "audience": part.value("aud")});
        let rule = sandbox.put("rule.json", rule.to_string());
        let said = sandbox.path("issuers.said");
        let mut command = venv.command("issuers.py", &sandbox.path("home"));
        command.args([certificate, pki.path("tls.key"), rule]);
        let stdout = File::create(&said).expect("a file");
        let child = command.stdin(Stdio::piped()).stdout(stdout).spawn().expect("the issuers start");
        let mut issuers = Self { child, said, url: String::new(), ca };
        let port = eventually(PATIENCE, "the issuers' port", || issuers.lines().first().cloned());
        issuers.url = format!("https://localhost:{port}");
        issuers
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.said).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    /// All exchanges until now.
    #[track_caller]
    pub(crate) fn exchanges(&self) -> Vec<Value> {
        self.lines().iter().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Issuers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Of `localhost`, with what python's ssl wants of a chain.
const EXTENSIONS: &str = "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n\
                          subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";

pub(crate) fn text(path: PathBuf) -> String {
    path.to_str().expect("UTF-8").to_owned()
}
