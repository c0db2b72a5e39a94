//! Owns: trying sources that do not wait, where they stand, a batch at a time.
//! Does not: wait, or decide what a result means.

use std::sync::Arc;

use futures_util::FutureExt;

use super::message::{Answered, ToObtain};
use crate::core::engine::Reason;
use crate::host::clock;
use crate::source::{Given, Shared, SourceError};

/// Signs a batch where it stands. None of its sources waits.
pub(super) fn sign_all(batch: Vec<ToObtain>, shared: &Arc<Shared>) -> Vec<Answered> {
    let mut random = vec![0; batch.len() * 16];
    let drawn = getrandom::fill(&mut random);
    let now = clock::now().wall;
    let one = |(one, nonce): (ToObtain, &[u8; 16])| {
        let given = Given::new(one.name.clone(), now, *nonce, shared);
        let result = match drawn {
            Ok(()) => one.source.obtain(given).now_or_never().unwrap_or_else(|| Err(broken())),
            Err(error) => Err(SourceError::no_random_numbers(error)),
        };
        Answered { one, result }
    };
    let (nonces, _) = random.as_chunks::<16>();
    batch.into_iter().zip(nonces).map(one).collect()
}

/// A fault of ours in a source.
pub(super) fn broken() -> SourceError {
    SourceError::new(Reason::InvalidAnswer, "the source failed by a fault of renewd itself: please report this")
}
