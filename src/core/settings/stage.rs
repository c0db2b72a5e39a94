//! Owns: the two stages of a source's settings: written, with the places of what may be found wrong later, and ready for use.
//! Does not: know how a config is written; `config` has that stage.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::login::LoginSettings;
use super::parts::{FirstRefresh, Identity, SecretText};
use crate::core::crypto::SigningKey;

/// What each part of a source's settings is at one stage: credentials by what they are for, and what may be absent.
pub trait Stage: Clone + Copy + Debug + 'static {
    /// A key that signs.
    type Key: Clone + Debug;
    /// A secret that is sent as text.
    type Text: Clone + Debug;
    /// The first refresh token.
    type Refresh: Clone + Debug;
    /// Certificates that are trusted.
    type Certificates: Clone + Debug;
    /// A client's certificate and its key.
    type Identity: Clone + Debug;
    /// What a file holds that is no credential.
    type Content: Clone + Debug;
    /// What there has to be.
    type Must<T: Clone + Debug>: Clone + Debug;
    /// What a later check may find fault with.
    type At<T: Clone + Debug>: Clone + Debug;
    /// What has a default that `[defaults]` may set.
    type OrDefault<T: Clone + Debug>: Clone + Debug;
    /// A source that the machine lacks something for.
    type Lacking: Copy + Debug;

    /// What there has to be, where it is there.
    fn known<T: Clone + Debug>(must: &Self::Must<T>) -> Option<&T>;
    fn value<T: Clone + Debug>(at: &Self::At<T>) -> &T;
}

/// Every credential was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready;

impl Stage for Ready {
    /// Parsed once; tokens of the same secret or key file share it.
    type Key = Arc<SigningKey>;
    type Text = SecretText;
    type Refresh = FirstRefresh;
    type Certificates = Arc<[u8]>;
    type Identity = Identity;
    type Content = Arc<str>;
    type Must<T: Clone + Debug> = T;
    type At<T: Clone + Debug> = T;
    type OrDefault<T: Clone + Debug> = T;
    type Lacking = ();

    fn known<T: Clone + Debug>(must: &T) -> Option<&T> {
        Some(must)
    }

    fn value<T: Clone + Debug>(at: &T) -> &T {
        at
    }
}

/// What the settings of a source tell of it, where they do not say otherwise.
pub(crate) trait SourceSettings<S: Stage> {
    /// The refresh token in the config, where it is made with one.
    fn first_refresh_token(&self) -> Option<&S::Refresh> {
        None
    }

    /// How a person gets the first refresh token.
    fn login(&self) -> Option<&LoginSettings> {
        None
    }

    /// The lifetime that is known before a token is at hand.
    fn ttl(&self) -> Option<&S::At<Duration>> {
        None
    }

    /// How long an exchange of a refresh token takes at most: it is sent twice where the first answer is lost.
    fn longest_exchange(&self) -> Duration {
        Duration::ZERO
    }

    /// How long one try takes at most, whatever it asks.
    fn longest_try(&self) -> Duration {
        self.longest_exchange()
    }
}
