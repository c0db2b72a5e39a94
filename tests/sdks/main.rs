//! Files that SDKs already read: the configs and environments of docs/src/how-to/federated.md, word for word, with the real
//! binary, one SDK of each family as its users install it, and endpoints that believe our token as the clouds do.
//! `tests/peers/install` puts the SDKs into target/peers; where it cannot, a test says that it was skipped, and how many were.
//! `RENEWD_NEED_PEERS=1` makes a skip a failure.
#![forbid(unsafe_code)]

mod exchanges;
mod grid;
mod issuers;
mod job;
mod page;
mod venv;
