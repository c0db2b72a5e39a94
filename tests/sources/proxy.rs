//! Owns: a proxy that opens tunnels (CONNECT) to one server, whatever name it is asked for, and keeps what it was asked.
//! Does not: look into a tunnel.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use support::http::{LOOPBACK, Seen, listen};

pub(crate) struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `None`: it lets nobody through.
    pub(crate) fn start(to: Option<SocketAddr>) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let keeping = asked.clone();
        // What is broken off is no error of the proxy's.
        let address = listen(LOOPBACK, move |stream| drop(tunnel(stream, to, &keeping)));
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
    let (mut back, mut out) = (server.try_clone()?, stream.try_clone()?);
    std::thread::spawn(move || {
        let copied = io::copy(&mut back, &mut out);
        drop((copied, out.shutdown(std::net::Shutdown::Write)));
    });
    io::copy(&mut stream, &mut { &server })?;
    server.shutdown(std::net::Shutdown::Write)
}
