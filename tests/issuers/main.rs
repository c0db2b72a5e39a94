//! Network sources end to end: the real binary asks real authorization servers that share no line with it (an OpenID provider on
//! Node.js, one of Authlib and one on Django in Python), and servers of our own where a fault, a crowd or a chain is needed.
//! `tests/peers/install` puts the real ones into target/peers; where it cannot, a test says that it was skipped, and how many were.
//! `RENEWD_NEED_PEERS=1` makes a skip a failure.
#![forbid(unsafe_code)]

mod chains;
mod clients;
mod crowd;
mod grants;
mod host;
mod issuer;
mod lost;
mod rejected;
mod relay;
mod sunbird;
mod tls;
