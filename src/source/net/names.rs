//! Owns: the addresses of a host's name, looked up by the system on threads, few at a time: where the name service does not
//! answer, each look-up keeps its thread for long, and the others are for deliveries.
//! Does not: keep addresses; the system may.

use std::io;
use std::net::ToSocketAddrs;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

/// So many look-ups at a time.
static PLACES: Semaphore = Semaphore::const_new(32);

pub(super) struct NameLookUp;

impl Resolve for NameLookUp {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // It is never closed. A thread holds it until its look-up is over, whoever waits for that.
            let place = PLACES.acquire().await;
            let looked_up = tokio::task::spawn_blocking(move || {
                let _place = place;
                (name.as_str(), 0).to_socket_addrs()
            });
            let found = looked_up.await.map_err(io::Error::other)?;
            Ok(Box::new(found?) as Addrs)
        })
    }
}
