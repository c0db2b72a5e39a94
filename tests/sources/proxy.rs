//! Owns: a proxy that opens tunnels (CONNECT) to one server, whatever name it is asked for, and keeps what it was asked.
//! Does not: look into a tunnel.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub struct Proxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `None`: it lets nobody through.
    pub fn start(to: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let keeping = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keeping = keeping.clone();
                // What is broken off is no error of the proxy's.
                std::thread::spawn(move || drop(tunnel(stream, to, &keeping)));
            }
        });
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").clone()
    }
}

fn tunnel(mut stream: TcpStream, to: Option<SocketAddr>, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head);
    asked.lock().expect("a lock").push(text.lines().next().unwrap_or_default().to_owned());
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
