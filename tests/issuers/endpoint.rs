//! Owns: an HTTP endpoint of our own on loopback, that answers as a test says, and keeps what was asked and how much of it at a time.
//! Does not: know what a token is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// With its query, as it was sent.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub at: Instant,
}

impl Asked {
    /// A header field, its name in small letters; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    /// A field of a form, decoded.
    pub fn field(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.body.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// Status, further header lines (each ended), and the body.
pub struct Reply(pub u16, pub String, pub String);

/// An answer that is no success.
pub fn refusal(status: u16, body: &str) -> Reply {
    Reply(status, String::new(), body.to_owned())
}

/// A successful answer.
pub fn json(body: &Value) -> Reply {
    Reply(200, String::new(), body.to_string())
}

struct Inner {
    answer: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
    asked: Mutex<Vec<Asked>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One on loopback; it is gone with the test.
#[derive(Clone)]
pub struct Endpoint {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Endpoint {
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let inner = Inner {
            answer: Box::new(answer),
            asked: Mutex::default(),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        };
        let endpoint = Self { address: listener.local_addr().expect("an address"), inner: Arc::new(inner) };
        let serving = endpoint.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let endpoint = serving.clone();
                std::thread::spawn(move || endpoint.serve(&stream));
            }
        });
        endpoint
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests whose path begins with this, in the order in which they came.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        self.inner.asked.lock().expect("asked").iter().filter(|asked| asked.path.starts_with(path)).cloned().collect()
    }

    /// How many were answered at a time, at the most.
    pub fn most_at_a_time(&self) -> usize {
        self.inner.most.load(Ordering::Relaxed)
    }

    fn serve(&self, stream: &TcpStream) {
        let Some(asked) = read(stream) else { return };
        let now = self.inner.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.inner.most.fetch_max(now, Ordering::Relaxed);
        let Reply(status, headers, body) = (self.inner.answer)(&asked);
        self.inner.asked.lock().expect("asked").push(asked);
        self.inner.now.fetch_sub(1, Ordering::Relaxed);
        let mut stream = stream;
        // Who went away meanwhile needs no answer.
        let _ = write!(
            stream,
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        );
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(": ") {
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body: String::from_utf8(body).ok()?, at: Instant::now() })
}
