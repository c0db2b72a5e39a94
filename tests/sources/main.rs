//! Tokens from endpoints, each source against a server that a test decides: real sockets, real TLS with a CA made by openssl.
#![forbid(unsafe_code)]

// Shared with the contract tests; nobody but them needs all of it.
#[expect(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod binary;
mod cached;
mod doubt;
mod exchange;
mod foreign_words;
mod limits;
mod made_anew;
mod night;
mod peers;
mod pki;
mod placeholders;
mod proxy;
mod server;
mod setting;
