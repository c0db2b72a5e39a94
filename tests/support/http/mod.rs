//! Owns: HTTP/1.1 as the servers of the tests speak it: a port with a thread for each connection, a request as it came, an answer's
//! bytes; and a server whose every answer a test decides.
//! Does not: know what a token is.

mod server;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;

pub use server::{Act, Server, answer, json, refusal, reset};

/// Any free port of 127.0.0.1.
pub const LOOPBACK: &str = "127.0.0.1:0";

/// Listens there, and gives each connection to `serve`, on a thread of its own; where it listens. It is gone with the test program.
pub fn listen(address: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its first line.
    pub line: String,
    pub method: String,
    /// With its query, as it was sent.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// When it was read.
    pub at: Instant,
    /// A client's certificate came with it.
    pub certified: bool,
}

impl Seen {
    /// The next request of a connection; `None` where the other side asks for nothing more.
    ///
    /// # Errors
    /// What breaks off, or is no text.
    pub fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let line = if head.is_empty() { String::new() } else { head.remove(0) };
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = head.iter().filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        let mut seen = Self { line, method, path, headers, body: String::new(), at: Instant::now(), certified: false };
        let length = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        seen.body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Some(seen))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The token that it brings; empty where there is none.
    pub fn bearer(&self) -> &str {
        self.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    /// The form's fields in order, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub fn field(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// Asks a server at this port of 127.0.0.1, with further header lines (each ended); the status and the body of its answer.
#[track_caller]
pub fn ask(port: u16, method: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let ends = "Host: localhost\r\nConnection: close\r\nContent-Length: 0\r\n";
    write!(stream, "{method} {path} HTTP/1.1\r\n{ends}{headers}\r\n").expect("the server reads");
    // An answer begins as a request does: a line, the status where the path would be, and headers.
    let mut reader = BufReader::new(stream);
    let mut answer = Seen::read(&mut reader).expect("the server answers").expect("an answer");
    if answer.header("content-length").is_none() {
        reader.read_to_string(&mut answer.body).expect("the server answers in full");
    }
    (answer.path.parse().unwrap_or_else(|e| panic!("{e}: {}", answer.line)), answer.body)
}

/// An answer, and how long it takes.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub after: Duration,
}

impl Answer {
    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        [format!("{head}\r\n").as_bytes(), &self.body].concat()
    }
}
