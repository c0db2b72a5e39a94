//! Owns: what an exchange of a refresh token that failed leaves unknown about the token in place, in kinds and words.
//! Does not: decide what follows (`exchange` does).

use crate::core::time::Wall;

/// Why the token in place may be good no more, though its time is not over: its refresh token was sent. Some issuers end the
/// old token at each refresh, and some revoke the whole family where a refresh token comes twice (RFC 9700 4.14.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Doubt {
    /// An exchange was begun in an earlier run, and how it ended is not known.
    Cut,
    /// No answer came, or one that leaves open whether the exchange was carried out.
    Lost,
    /// It was carried out, and the answer was of no use.
    Unread,
    /// It was carried out, and what came may be a token that was made when the refresh token was first sent, and has ended.
    Stale,
    /// The refresh token was refused.
    Refused,
    /// It was refused when it was sent again after an exchange whose end is not known.
    Reused,
}

impl Doubt {
    /// What is known after one more failure.
    pub fn and(self, newer: Option<Self>) -> Self {
        match (self, newer) {
            (_, Some(Self::Stale)) => Self::Stale,
            (Self::Cut | Self::Lost, Some(Self::Refused)) | (Self::Reused, _) => Self::Reused,
            (_, Some(newer)) => newer,
            (older, None) => older,
        }
    }

    /// For people, to follow the token's name.
    pub fn why(self) -> &'static str {
        match self {
            Self::Cut => {
                "an exchange of its refresh token was begun in an earlier run, and how it ended is not known: the issuer may have \
                 ended the token in place with it"
            }
            Self::Lost => {
                "its refresh token was sent, and no answer tells whether it was exchanged: the issuer may have ended the token in \
                 place with it"
            }
            Self::Unread => {
                "its refresh token was exchanged, and the answer was of no use: the issuer may have ended the token in place with it"
            }
            Self::Stale => {
                "its refresh token was sent again, and the answer may hold a token that has ended: the issuer may have ended the \
                 token in place with it"
            }
            Self::Refused => {
                "the issuer refused its refresh token: if it revoked the family, the token in place is revoked too"
            }
            Self::Reused => {
                "its refresh token was sent again after an exchange whose end is not known, and was refused: the issuer may have \
                 revoked the token in place with the family"
            }
        }
    }
}

/// What is known of the token in place after a failed try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Certainty {
    /// There is none, or it has expired.
    Gone,
    Valid,
    /// Its issuer may have revoked it; by its time it would be good until then (`None`: for good).
    Doubtful {
        until: Option<Wall>,
    },
}

#[cfg(test)]
mod tests {
    use super::Doubt::{self, *};

    #[test]
    fn a_refusal_after_an_open_end_is_a_reuse_and_stays_one() {
        for (before, newer, after) in [
            (Lost, Some(Refused), Reused),
            (Cut, Some(Refused), Reused),
            (Reused, Some(Lost), Reused),
            (Reused, None, Reused),
            (Lost, None, Lost),
            (Lost, Some(Unread), Unread),
            (Refused, Some(Refused), Refused),
            (Reused, Some(Stale), Stale),
        ] {
            assert_eq!(before.and(newer), after, "{before:?} {newer:?}");
        }
    }

    #[test]
    fn each_reason_reads_on_from_a_name() {
        for doubt in [Cut, Lost, Unread, Stale, Refused, Reused] {
            let why = Doubt::why(doubt);
            assert!(why.starts_with(char::is_lowercase) && !why.ends_with('.') && !why.contains("  "), "{why}");
        }
    }
}
