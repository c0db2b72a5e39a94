//! Owns: a stub of GitHub's REST API on loopback, as far as an app goes: it believes a JWT only where openssl does and GitHub's rules
//! allow it, knows three installations, and answers in GitHub's own words and shapes.
//! Does not: know anything of renewd.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;

use support::http::{self, Act, Seen, Server, answer};
use support::{Jwt, now, openssl};

pub(crate) const APP: &str = "12345";
const DOCS: &str = "https://docs.github.com/rest";

/// What is answered to whoever asks for a token, in the place of one.
type Instead = Arc<Mutex<Option<Act>>>;

pub(crate) struct Hub {
    server: Server,
    instead: Instead,
}

impl Hub {
    /// Starts it; the app's key pair is made in `folder` (app.pem, app.pub).
    pub(crate) fn start(folder: &Path) -> Self {
        let key = folder.join("app.pem");
        // GitHub hands out PKCS#1.
        openssl(&["genrsa", "-traditional", "-out", key.to_str().unwrap(), "2048"], b"");
        let public = folder.join("app.pub");
        openssl(&["rsa", "-in", key.to_str().unwrap(), "-pubout", "-out", public.to_str().unwrap()], b"");
        let instead = Instead::default();
        let told = instead.clone();
        let server = Server::start(move |seen| respond(seen, &public, &told));
        Self { server, instead }
    }

    /// As GitHub Enterprise Server has it.
    pub(crate) fn url(&self) -> String {
        self.server.url("/api/v3")
    }

    pub(crate) fn asked(&self) -> Vec<Seen> {
        self.server.seen()
    }

    pub(crate) fn forget(&self) {
        self.server.forget();
    }

    pub(crate) fn answer_instead(&self, answer: Option<Act>) {
        *self.instead.lock().unwrap() = answer;
    }
}

fn respond(seen: &Seen, public: &Path, instead: &Instead) -> Act {
    if let Err(message) = believe(seen.header("authorization").unwrap_or_default(), public) {
        return error(401, message);
    }
    let Some(path) = seen.path.strip_prefix("/api/v3/") else {
        return answer(404, "text/html", "<!DOCTYPE html><p>hunter2");
    };
    let steps: Vec<&str> = path.split('/').collect();
    match (seen.method.as_str(), steps.as_slice()) {
        ("GET", ["orgs", "acme", "installation"]) => installation(1),
        ("GET", ["users", "joe", "installation"]) => installation(2),
        ("GET", ["repos", "acme", "jobs", "installation"]) => installation(3),
        ("POST", ["app", "installations", id @ ("1" | "2" | "3"), "access_tokens"]) => {
            let instead = instead.lock().unwrap().clone();
            instead.unwrap_or_else(|| token(id))
        }
        _ => error(404, "Not Found"),
    }
}

/// GitHub's rules for the JWT of an app.
fn believe(authorization: &str, public: &Path) -> Result<(), &'static str> {
    let undecodable = "A JSON web token could not be decoded";
    let token = authorization.strip_prefix("Bearer ").ok_or("Requires authentication")?;
    let jwt = Jwt::parse(token).map_err(|_| undecodable)?;
    let signature = tempfile::NamedTempFile::new().expect("a temp file");
    std::fs::write(signature.path(), &jwt.signature).expect("a temp file");
    let input = tempfile::NamedTempFile::new().expect("a temp file");
    std::fs::write(input.path(), jwt.signing_input()).expect("a temp file");
    let mut command = std::process::Command::new("openssl");
    command.args(["dgst", "-sha256", "-verify"]).arg(public).arg("-signature").arg(signature.path());
    let holds = command.arg(input.path()).output().expect("openssl").status.success();
    if !holds || jwt.header["alg"] != "RS256" || jwt.claims["iss"] != APP {
        return Err(undecodable);
    }
    let (iat, exp, at) = (jwt.number("iat") as f64, jwt.number("exp") as f64, now());
    match () {
        () if iat > at => {
            Err("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
        }
        () if exp < at || exp > at + 600.0 || exp - iat > 600.0 => Err(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ),
        () => Ok(()),
    }
}

pub(crate) fn error(status: u16, message: &str) -> Act {
    let body = json!({"message": message, "documentation_url": DOCS, "status": status.to_string()});
    answer(status, "application/json; charset=utf-8", body.to_string())
}

fn installation(id: u64) -> Act {
    http::json(json!({"id": id, "app_id": 12345, "suspended_at": null}))
}

fn token(id: &str) -> Act {
    let expires_at = jiff::Timestamp::from_second(now() as i64 + 3600).unwrap().to_string();
    let body = json!({
        "token": format!("ghs_{}{id}", "16C7e42F292c6912E7710c838347Ae178B4a"), "expires_at": expires_at,
        "permissions": {"contents": "read"}, "repository_selection": "selected",
    });
    answer(201, "application/json", body.to_string())
}
