//! Owns: proxies that open tunnels (CONNECT of HTTP, SOCKS5) to one server, whatever name they are asked for, and keep what they
//! were asked.
//! Does not: look into a tunnel.

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use support::http::{LOOPBACK, Seen, listen};

pub(crate) struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `None`: it lets nobody through.
    pub(crate) fn start(to: Option<SocketAddr>) -> Self {
        Self::of(move |stream, asked| tunnel(stream, to, asked))
    }

    /// SOCKS 5 (RFC 1928), as `ssh -D` opens it; `account`: whom it lets through (RFC 1929).
    pub(crate) fn socks(to: SocketAddr, account: Option<&'static str>) -> Self {
        Self::of(move |stream, asked| socks(stream, to, account, asked))
    }

    fn of(serve: impl Fn(TcpStream, &Mutex<Vec<String>>) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let keeping = asked.clone();
        // What is broken off is no error of the proxy's.
        let address = listen(LOOPBACK, move |stream| drop(serve(stream, &keeping)));
        Self { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").clone()
    }
}

fn tunnel(mut stream: TcpStream, to: Option<SocketAddr>, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    // Nothing comes behind the head before it is answered.
    let Some(seen) = Seen::read(&mut BufReader::new(&stream))? else { return Ok(()) };
    asked.lock().expect("a lock").push(seen.line);
    let Some(to) = to else {
        return stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    };
    let server = TcpStream::connect(to)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    joined(stream, server)
}

fn bytes(stream: &mut TcpStream, count: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(count)];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A field with its length before it.
fn field(stream: &mut TcpStream) -> io::Result<String> {
    let length = bytes(stream, 1)?[0];
    String::from_utf8(bytes(stream, length)?).map_err(io::Error::other)
}

fn socks(mut stream: TcpStream, to: SocketAddr, account: Option<&str>, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let count = bytes(&mut stream, 2)?[1];
    let methods = bytes(&mut stream, count)?;
    let method = if account.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        return stream.write_all(&[5, 0xff]);
    }
    stream.write_all(&[5, method])?;
    if let Some(account) = account {
        bytes(&mut stream, 1)?;
        let given = format!("{}:{}", field(&mut stream)?, field(&mut stream)?);
        let refused = u8::from(given != account);
        stream.write_all(&[1, refused])?;
        if refused != 0 {
            return Ok(());
        }
    }
    let (name, kind) = match bytes(&mut stream, 4)?[3] {
        3 => (field(&mut stream)?, "name"),
        _ => (Ipv4Addr::from(<[u8; 4]>::try_from(bytes(&mut stream, 4)?).expect("four bytes")).to_string(), "address"),
    };
    let port = bytes(&mut stream, 2)?;
    asked.lock().expect("a lock").push(format!("{kind} {name}:{}", u16::from_be_bytes([port[0], port[1]])));
    let server = TcpStream::connect(to)?;
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80])?;
    joined(stream, server)
}

fn joined(mut stream: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut back, mut out) = (server.try_clone()?, stream.try_clone()?);
    std::thread::spawn(move || {
        let copied = io::copy(&mut back, &mut out);
        drop((copied, out.shutdown(std::net::Shutdown::Write)));
    });
    io::copy(&mut stream, &mut { &server })?;
    server.shutdown(std::net::Shutdown::Write)
}
