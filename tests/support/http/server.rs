//! Owns: a server whose every answer a test decides: it may answer, hang, trickle, reset or close, over TLS or in the clear.
//! It keeps what it was asked, and counts the connections that are open.
//! Does not: know what a token is.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Answer, LOOPBACK, Seen, listen};

/// What the server does with a request.
#[derive(Clone, Debug)]
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

/// 200, and JSON: a text of it, or a value.
pub fn json(body: impl ToString) -> Act {
    answer(200, "application/json", body.to_string())
}

pub fn answer(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Act {
    let headers = vec![("Content-Type", kind.to_owned())];
    Act::Answer(Answer { status, headers, body: body.into(), after: Duration::ZERO })
}

/// An answer that is no success, in JSON.
pub fn refusal(status: u16, body: &str) -> Act {
    answer(status, "application/json", body)
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

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start(handler: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::at(LOOPBACK, None, handler)
    }

    pub fn at(
        address: &str,
        tls: Option<Arc<ServerConfig>>,
        handler: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            tls,
            seen: Mutex::default(),
            open: AtomicUsize::new(0),
            answering: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        Self { address: listen(address, move |stream| serving.serve(stream)), shared }
    }

    /// An address at this server: by its IP, in the clear or not.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The requests until now, in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("a lock").clone()
    }

    /// Those whose path begins with this.
    pub fn seen_at(&self, path: &str) -> Vec<Seen> {
        let seen = self.shared.seen.lock().expect("a lock");
        seen.iter().filter(|seen| seen.path.starts_with(path)).cloned().collect()
    }

    /// How many these are.
    pub fn count_at(&self, path: &str) -> usize {
        let seen = self.shared.seen.lock().expect("a lock");
        seen.iter().filter(|seen| seen.path.starts_with(path)).count()
    }

    /// The only request there was.
    #[track_caller]
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.into_iter().next().expect("one")
    }

    /// As if nothing had been asked yet.
    pub fn forget(&self) {
        self.shared.seen.lock().expect("a lock").clear();
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
        let Some(seen) = Seen::read(&mut BufReader::new(&mut *stream))? else { return Ok(()) };
        let seen = Seen { certified, ..seen };
        self.seen.lock().expect("a lock").push(seen.clone());
        let now = self.answering.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        let act = (self.handler)(&seen);
        if let Act::Answer(answer) = &act {
            std::thread::sleep(answer.after);
            // The next may be asked as soon as this is read.
            self.answering.fetch_sub(1, Ordering::SeqCst);
        }
        act.perform(socket, stream)?;
        // The connection may be used again, if the other side wants to: it is only closed from there.
        io::copy(&mut { stream }, &mut io::sink()).map(drop)
    }
}

impl Act {
    fn perform(self, socket: &TcpStream, stream: &mut dyn Stream) -> io::Result<()> {
        match self {
            Self::Answer(answer) => {
                stream.write_all(&answer.bytes())?;
                stream.flush()
            }
            Self::Raw(bytes) => {
                stream.write_all(&bytes)?;
                stream.flush()?;
                socket.shutdown(std::net::Shutdown::Write)
            }
            Self::Hang => io::copy(&mut { stream }, &mut io::sink()).map(drop),
            Self::Trickle => {
                stream.write_all(
                    b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n{",
                )?;
                loop {
                    stream.write_all(b" ")?;
                    stream.flush()?;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            Self::Reset => {
                reset(socket)?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Self::Close => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Has a connection closed by RST: what is not read on either side is thrown away.
///
/// # Errors
/// setsockopt(2).
pub fn reset(socket: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO))?)
}
