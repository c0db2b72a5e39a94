//! Owns: a stub of GitHub's REST API on loopback, as far as an app goes: it believes a JWT only where openssl does and GitHub's rules
//! allow it, knows three installations, and answers in GitHub's own words and shapes.
//! Does not: know anything of renewd.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use support::{Jwt, now, openssl};

pub const APP: &str = "12345";
const DOCS: &str = "https://docs.github.com/rest";

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// An answer: status, further headers, body.
pub type Answer = (u16, Vec<(&'static str, String)>, String);

struct Inner {
    folder: PathBuf,
    asked: Mutex<Vec<Asked>>,
    /// What is answered to whoever asks for a token, in the place of one.
    instead: Mutex<Option<Answer>>,
}

#[derive(Clone)]
pub struct Hub {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Hub {
    /// Starts it; the app's key pair is made in `folder` (app.pem, app.pub).
    pub fn start(folder: &Path) -> Self {
        let key = folder.join("app.pem");
        // GitHub hands out PKCS#1.
        openssl(&["genrsa", "-traditional", "-out", key.to_str().unwrap(), "2048"], b"");
        let public = folder.join("app.pub");
        openssl(&["rsa", "-in", key.to_str().unwrap(), "-pubout", "-out", public.to_str().unwrap()], b"");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let inner = Inner { folder: folder.to_owned(), asked: Mutex::default(), instead: Mutex::default() };
        let hub = Self { address: listener.local_addr().expect("an address"), inner: Arc::new(inner) };
        let serving = hub.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hub = serving.clone();
                std::thread::spawn(move || hub.serve(stream));
            }
        });
        hub
    }

    /// As GitHub Enterprise Server has it.
    pub fn url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.inner.asked.lock().unwrap().clear();
    }

    pub fn answer_instead(&self, answer: Option<Answer>) {
        *self.inner.instead.lock().unwrap() = answer;
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(&stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(length) if length > 0 && !line.trim_end().is_empty() => head.push(line.trim_end().to_owned()),
                _ => break,
            }
        }
        let Some((line, headers)) = head.split_first() else { return };
        let split = |header: &String| header.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
        let headers: Vec<(String, String)> = headers.iter().filter_map(split).collect();
        let mut asked = Asked { line: line.clone(), headers, body: Value::Null };
        let mut body = vec![0; asked.header("content-length").parse().unwrap_or(0)];
        reader.read_exact(&mut body).expect("a body");
        asked.body = serde_json::from_slice(&body).unwrap_or_default();
        self.inner.asked.lock().unwrap().push(asked.clone());
        let (status, headers, body) = self.answer(&asked);
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let text =
            format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let _ = (&stream).write_all(text.as_bytes());
    }

    fn answer(&self, asked: &Asked) -> Answer {
        if let Err(message) = self.believe(asked.header("authorization")) {
            return error(401, message);
        }
        let path = asked.line.split(' ').nth(1).unwrap_or_default();
        let Some(path) = path.strip_prefix("/api/v3/") else {
            return (404, vec![("Content-Type", "text/html".into())], "<!DOCTYPE html><p>hunter2".into());
        };
        let steps: Vec<&str> = path.split('/').collect();
        match (asked.line.split(' ').next().unwrap_or_default(), steps.as_slice()) {
            ("GET", ["orgs", "acme", "installation"]) => installation(1),
            ("GET", ["users", "joe", "installation"]) => installation(2),
            ("GET", ["repos", "acme", "jobs", "installation"]) => installation(3),
            ("POST", ["app", "installations", id @ ("1" | "2" | "3"), "access_tokens"]) => {
                let instead = self.inner.instead.lock().unwrap().clone();
                instead.unwrap_or_else(|| token(id))
            }
            _ => error(404, "Not Found"),
        }
    }

    /// GitHub's rules for the JWT of an app.
    fn believe(&self, authorization: &str) -> Result<(), &'static str> {
        let undecodable = "A JSON web token could not be decoded";
        let token = authorization.strip_prefix("Bearer ").ok_or("Requires authentication")?;
        let jwt = Jwt::parse(token).map_err(|_| undecodable)?;
        let signature = tempfile::NamedTempFile::new().expect("a temp file");
        std::fs::write(signature.path(), &jwt.signature).expect("a temp file");
        let public = self.inner.folder.join("app.pub");
        let mut command = std::process::Command::new("openssl");
        command.args(["dgst", "-sha256", "-verify"]).arg(public).arg("-signature").arg(signature.path());
        let input = self.inner.folder.join(format!("signed-{}", signature.path().file_name().unwrap().display()));
        std::fs::write(&input, jwt.signing_input()).expect("a file");
        let holds = command.arg(&input).output().expect("openssl").status.success();
        std::fs::remove_file(input).expect("a file");
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
}

pub fn error(status: u16, message: &str) -> Answer {
    let body = json!({"message": message, "documentation_url": DOCS, "status": status.to_string()});
    (status, vec![("Content-Type", "application/json; charset=utf-8".into())], body.to_string())
}

fn installation(id: u64) -> Answer {
    (200, Vec::new(), json!({"id": id, "app_id": 12345, "suspended_at": null}).to_string())
}

fn token(id: &str) -> Answer {
    let expires_at = jiff::Timestamp::from_second(now() as i64 + 3600).unwrap().to_string();
    let body = json!({
        "token": format!("ghs_{}{id}", "16C7e42F292c6912E7710c838347Ae178B4a"), "expires_at": expires_at,
        "permissions": {"contents": "read"}, "repository_selection": "selected",
    });
    (201, Vec::new(), body.to_string())
}
