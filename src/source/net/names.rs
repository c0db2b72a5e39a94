//! Owns: the addresses of a host's name, looked up by the system on threads, few at a time: where the name service does not
//! answer, each look-up keeps its thread for long, and the others are for deliveries.
//! Does not: keep addresses; the system may.

use std::io;
use std::net::ToSocketAddrs;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

/// So many look-ups at a time.
static PLACES: Semaphore = Semaphore::const_new(32);

pub(super) struct NameLookUp {
    limit: Duration,
}

impl NameLookUp {
    /// It ends before the connection's own time does, so that it is known what was waited for.
    pub(super) fn within(connecting: Duration) -> Self {
        Self { limit: connecting * 9 / 10 }
    }
}

impl Resolve for NameLookUp {
    fn resolve(&self, name: Name) -> Resolving {
        let limit = self.limit;
        let looked_up = async move {
            // It is never closed. A thread holds it until its look-up is over, whoever waits for that.
            let place = PLACES.acquire().await;
            let looked_up = tokio::task::spawn_blocking(move || {
                let _place = place;
                (name.as_str(), 0).to_socket_addrs()
            });
            let found = looked_up.await.map_err(io::Error::other)?;
            Ok(Box::new(found?) as Addrs)
        };
        Box::pin(async move {
            let too_late = |_| io::Error::new(io::ErrorKind::TimedOut, "the name service does not answer");
            tokio::time::timeout(limit, looked_up).await.map_err(too_late)?
        })
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[tokio::test]
    async fn a_look_up_that_takes_too_long_says_what_was_waited_for() {
        let _no_place_is_free = PLACES.acquire_many(32).await.unwrap();
        let look_up = NameLookUp::within(Duration::from_millis(1));
        let error = look_up.resolve(Name::from_str("idp.example").unwrap()).await.err().expect("there is no place");
        let error = error.downcast_ref::<io::Error>().expect("an error of the system's kind");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::TimedOut, "the name service does not answer")
        );
    }
}
