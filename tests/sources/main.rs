//! Tokens from endpoints, each source against a server that a test decides: real sockets, real TLS with a CA made by openssl.
#![forbid(unsafe_code)]

mod answers;
mod as_written;
mod beside;
mod binary;
mod cached;
mod doubt;
mod echoes;
mod exchange;
mod foreign_words;
mod headers;
mod limits;
mod made_anew;
mod night;
mod odd_answers;
mod peers;
mod placeholders;
mod proxy;
mod setting;
mod wire;
