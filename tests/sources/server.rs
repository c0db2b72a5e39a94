//! Owns: a server whose every answer a test decides: it may answer, hang, trickle, reset or close, over TLS or in the clear.
//! It keeps what it was asked, and counts the connections that are open.
//! Does not: know what a token is.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: String,
    /// A client's certificate came with it.
    pub certified: bool,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The form's fields in order, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        let url = reqwest::Url::parse(&format!("http://x/?{}", self.body)).expect("a form");
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    pub fn field(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

/// What the server does with a request.
pub enum Act {
    Answer(Answer),
    /// Exactly these bytes, then the end.
    Raw(Vec<u8>),
    /// Nothing, until the other side gives up.
    Hang,
    /// The head at once, the body a byte at a time, for ever.
    Trickle,
    Reset,
    Close,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub after: Duration,
}

pub fn json(body: impl AsRef<str>) -> Act {
    answer(200, "application/json", body.as_ref())
}

pub fn answer(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Act {
    let headers = vec![("Content-Type", kind.to_owned())];
    Act::Answer(Answer { status, headers, body: body.into(), after: Duration::ZERO })
}

impl Act {
    pub fn header(self, name: &'static str, value: impl Into<String>) -> Self {
        match self {
            Self::Answer(mut answer) => {
                answer.headers.push((name, value.into()));
                Self::Answer(answer)
            }
            other => other,
        }
    }

    pub fn after(self, wait: Duration) -> Self {
        match self {
            Self::Answer(answer) => Self::Answer(Answer { after: wait, ..answer }),
            other => other,
        }
    }
}

type Handler = Box<dyn Fn(&Seen) -> Act + Send + Sync>;

struct Shared {
    handler: Handler,
    tls: Option<Arc<ServerConfig>>,
    seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
    answering: AtomicUsize,
    peak: AtomicUsize,
}

pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start(handler: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", None, handler)
    }

    pub fn at(
        address: &str,
        tls: Option<Arc<ServerConfig>>,
        handler: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("bind");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            tls,
            seen: Mutex::default(),
            open: AtomicUsize::new(0),
            answering: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = accepting.clone();
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, shared }
    }

    /// An address at this server: by its IP, in the clear or not.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("a lock").clone()
    }

    /// The only request there was.
    #[track_caller]
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.into_iter().next().expect("one")
    }

    /// Connections that the other side has not closed.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// So many requests at a time, at most; one that was not answered counts for ever.
    pub fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        self.open.fetch_add(1, Ordering::SeqCst);
        // What the other side breaks off is no error of the server's.
        let _ = self.connection(&stream);
        drop(stream);
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn connection(&self, stream: &TcpStream) -> io::Result<()> {
        let Some(tls) = &self.tls else {
            return self.request(stream, &mut { stream }, false);
        };
        let connection = ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
        let mut secure = StreamOwned::new(connection, stream.try_clone()?);
        while secure.conn.is_handshaking() {
            secure.conn.complete_io(&mut secure.sock)?;
        }
        let certified = secure.conn.peer_certificates().is_some();
        self.request(stream, &mut secure, certified)
    }

    fn request(&self, socket: &TcpStream, stream: &mut dyn Stream, certified: bool) -> io::Result<()> {
        let Some(seen) = read(stream, certified)? else { return Ok(()) };
        self.seen.lock().expect("a lock").push(seen.clone());
        let now = self.answering.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        let act = (self.handler)(&seen);
        if let Act::Answer(answer) = &act {
            std::thread::sleep(answer.after);
            // The next may be asked as soon as this is read.
            self.answering.fetch_sub(1, Ordering::SeqCst);
        }
        self.act(act, socket, stream)?;
        // The connection may be used again, if the other side wants to: it is only closed from there.
        io::copy(&mut { stream }, &mut io::sink()).map(drop)
    }

    fn act(&self, act: Act, socket: &TcpStream, stream: &mut dyn Stream) -> io::Result<()> {
        match act {
            Act::Answer(answer) => {
                let mut text = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
                for (name, value) in &answer.headers {
                    text.push_str(&format!("{name}: {value}\r\n"));
                }
                stream.write_all(format!("{text}\r\n").as_bytes())?;
                stream.write_all(&answer.body)?;
                stream.flush()
            }
            Act::Raw(bytes) => {
                stream.write_all(&bytes)?;
                stream.flush()?;
                socket.shutdown(std::net::Shutdown::Write)
            }
            Act::Hang => io::copy(&mut { stream }, &mut io::sink()).map(drop),
            Act::Trickle => {
                stream.write_all(
                    b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n{",
                )?;
                loop {
                    stream.write_all(b" ")?;
                    stream.flush()?;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            Act::Reset => {
                rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO))?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Act::Close => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn read(stream: &mut dyn Stream, certified: bool) -> io::Result<Option<Seen>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let mut seen = Seen { method, path, headers, body: String::new(), certified };
    let length = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    seen.body = String::from_utf8(body).map_err(io::Error::other)?;
    Ok(Some(seen))
}
