//! Tokens from endpoints, each source against a server that a test decides: real sockets, real TLS with a CA made by openssl.
#![forbid(unsafe_code)]

mod answers;
mod exchange;
mod limits;
mod peers;
mod pki;
mod placeholders;
mod server;
mod setting;
