//! The recipes of the manual and the first users' gateway, end to end: the real binary, and verifiers that share no line with it.
//! `tests/peers/install` puts those (PyJWT) into target/peers; where it cannot, a test says that it was skipped, and how many were.
//! `RENEWD_NEED_PEERS=1` makes a skip a failure.
#![forbid(unsafe_code)]

mod gateway;
mod jobs;
mod page;
mod peers;
mod portals;
mod refusals;
mod rotations;
mod vendors;
