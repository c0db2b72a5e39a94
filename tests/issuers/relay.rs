//! Owns: a relay on loopback between renewd and a real issuer, which loses answers as a network does: the issuer has done what it
//! was asked, and nobody is told.
//! Does not: change a byte of what it passes on.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::PATIENCE;
use support::http::{LOOPBACK, Seen, listen};

/// What becomes of answers.
#[derive(Clone, Copy)]
pub(crate) enum Loss {
    /// The connection is closed in the place of the answer.
    Closed,
    /// Nothing comes until the other side gives up.
    Silent,
}

pub(crate) struct Relay {
    address: SocketAddr,
    to_lose: Arc<AtomicUsize>,
}

impl Relay {
    /// In front of the issuer at `token_url` (plain http).
    pub(crate) fn start(token_url: &str, loss: Loss) -> Self {
        let url = url::Url::parse(token_url).expect("an address");
        let port = url.port().expect("a port");
        let to_lose = Arc::new(AtomicUsize::new(0));
        let counter = to_lose.clone();
        let address = listen(LOOPBACK, move |stream| _ = pass(&stream, port, loss, &counter));
        Self { address, to_lose }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next answers that come are lost.
    pub(crate) fn lose(&self, answers: usize) {
        self.to_lose.store(answers, Ordering::SeqCst);
    }
}

fn pass(stream: &TcpStream, port: u16, loss: Loss, to_lose: &AtomicUsize) -> Option<()> {
    let request = request(stream)?;
    let mut issuer = TcpStream::connect(("127.0.0.1", port)).ok()?;
    issuer.set_read_timeout(Some(PATIENCE)).ok()?;
    issuer.write_all(&request).ok()?;
    let mut answer = Vec::new();
    issuer.read_to_end(&mut answer).ok()?;
    let is_lost = to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    let mut stream = stream;
    match (is_lost, loss) {
        (false, _) => stream.write_all(&answer).ok(),
        (true, Loss::Closed) => Some(()),
        (true, Loss::Silent) => stream.read_to_end(&mut Vec::new()).ok().map(drop),
    }
}

/// The request, which asks for one answer and the end of the connection.
fn request(stream: &TcpStream) -> Option<Vec<u8>> {
    let seen = Seen::read(&mut BufReader::new(stream)).ok()??;
    let mut text = format!("{}\r\n", seen.line);
    for (name, value) in seen.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        text += &format!("{name}: {value}\r\n");
    }
    Some((text + "Connection: close\r\n\r\n" + &seen.body).into_bytes())
}
