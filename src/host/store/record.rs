//! Owns: the records of the state and their bytes: marker, length, checksum, and a versioned body, all little-endian.
//! Does not: read or write files, or judge which record counts.

use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::value::{ByteCount, ByteSink, RecordReader, RecordValue, fields};
use crate::core::credential::RefreshToken;
use crate::core::engine::{Doubt, FailedHook, FailureStreak};
use crate::core::schedule::Life;
use crate::core::settings::{Fingerprint, TargetPath, TokenName};
use crate::core::time::Wall;
use crate::core::token::Token;

/// Begins each record, so that the next good one is found after a damaged one.
pub(super) const MARK: [u8; 4] = *b"rnw\xe5";
/// Marker, length of the body, CRC-32 of length and body.
pub(super) const FRAME: usize = 12;
/// The version of the file's header, and of every body's first byte. 2 (after 0.1.0): the end of a refresh token, the scope of
/// a token, and of an exchange that was begun when the refresh token was first sent and what it leaves in doubt. 3: a token's
/// failure streak, and a hook that is owed to it. 4: which end of a refresh token was told.
pub(super) const VERSION: u8 = 4;
/// Bodies of this version are read still.
pub(super) const OLDEST: u8 = 1;
/// No record is longer: tokens come in answers of 1 MiB at most.
const MOST: usize = 64 << 20;

/// What a token is obtained with next, where its own record does not tell: it has none any more, or an answer brought a
/// successor and no token; or it is being spent just now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptRefresh {
    /// Whose refresh token it is.
    pub name: TokenName,
    /// `None`: what the token's record or the config has.
    pub next: Option<RefreshToken>,
    /// An exchange was begun, and its end is not known.
    pub begun: bool,
    /// What was sent in it, and when first; a record of version 1 does not tell.
    pub sent: Option<FirstSending>,
    /// Why the token in place may be good no more.
    pub doubt: Option<Doubt>,
}

/// A refresh token that was sent, and no answer tells of its exchange: what a server makes of it counts from then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FirstSending {
    /// When it was sent, by the wall clock.
    pub at: Wall,
    /// Of the refresh token.
    pub token: Fingerprint,
}

/// A file that renewd wrote, or was about to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptTarget {
    /// As a plan's target is known by it: links of the folder resolved.
    pub path: TargetPath,
    /// Of the last contents that renewd wrote or was about to write.
    pub digests: Vec<Fingerprint>,
    /// Lines of those contents, and of former ones that may still be in place.
    pub lines: Vec<KeptLine>,
}

/// What of a line a later start must know to let its token go from the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptLine {
    /// Whose line it is; the value stands in that token's own record.
    pub token: TokenName,
    /// The variable of an env file, and that of its expiry.
    pub env: Option<(String, Option<String>)>,
}

fields!(Token { name, generation, fingerprint, life, value, refresh_token; since_2: scope });
fields!(Life { issued_at, expires_at, obtained_at });
fields!(RefreshToken { token, first; since_2: expires_at });
fields!(KeptTarget { path, digests, lines });
fields!(KeptLine { token, env });
fields!(KeptRefresh { name, next, begun; since_2: sent, doubt });
fields!(FirstSending { at, token });
fields!(FailureStreak { since, tries, is_told, reason, message, hook });
fields!(FailedHook { failures, is_tried_again, message });

/// Declares the records: what each holds, and the number of its kind.
macro_rules! records {
    ($($(#[$about:meta])* $kind:ident($($field:ident: $of:ty),+) = $number:ident,)+) => {
        /// One entry of the state's log. A later one replaces an earlier one of the same name or path.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Record {
            $($(#[$about])* $kind($($of),+),)+
        }

        impl Record {
            fn put_body(&self, out: &mut dyn ByteSink) {
                VERSION.put(out);
                match self {
                    $(Self::$kind($($field),+) => {
                        $number.put(out);
                        $($field.put(out);)+
                    })+
                }
            }

            fn take_body(from: &mut RecordReader<'_>) -> Option<Self> {
                match u8::take(from)? {
                    $($number => Some(Self::$kind($(<$of>::take(from)?),+)),)+
                    _ => None,
                }
            }
        }
    };
}

records! {
    /// See [`Kept::seed`](super::Kept::seed); the first of a log that is new.
    Seed(seed: u64) = SEED,
    /// Obtained, delivered or not.
    Token(token: Arc<Token>) = TOKEN,
    /// The config has not had it for a while, and no file is to lose it any more.
    TokenGone(name: TokenName) = TOKEN_GONE,
    /// Kept before the file is written: a crash in between leaves no file that nobody owns.
    Target(target: KeptTarget) = TARGET,
    /// Removed, or left to who changed it.
    TargetGone(path: TargetPath) = TARGET_GONE,
    /// Made durable before a refresh token is sent, and again when its exchange has ended.
    Refresh(refresh: KeptRefresh) = REFRESH,
    /// What the token's own record or the config says counts again.
    RefreshGone(name: TokenName) = REFRESH_GONE,
    /// The token fails, and how.
    Streak(name: TokenName, streak: FailureStreak) = STREAK,
    /// It recovered, or is gone.
    StreakGone(name: TokenName) = STREAK_GONE,
    /// The token was obtained by who delivers nothing: `after_rotate` is owed to it when it is delivered.
    Owed(name: TokenName) = OWED,
    /// The hook is begun, or the token is gone.
    OwedGone(name: TokenName) = OWED_GONE,
    /// It was told that the token's refresh token ends at this moment.
    LoginTold(name: TokenName, end: Wall) = LOGIN_TOLD,
    /// It has one again that lasts, or is gone.
    LoginToldGone(name: TokenName) = LOGIN_TOLD_GONE,
}

pub(super) const SEED: u8 = 1;
pub(super) const TOKEN: u8 = 2;
pub(super) const TOKEN_GONE: u8 = 3;
pub(super) const TARGET: u8 = 4;
pub(super) const TARGET_GONE: u8 = 5;
pub(super) const REFRESH: u8 = 6;
pub(super) const REFRESH_GONE: u8 = 7;
pub(super) const STREAK: u8 = 8;
pub(super) const STREAK_GONE: u8 = 9;
pub(super) const OWED: u8 = 10;
pub(super) const OWED_GONE: u8 = 11;
pub(super) const LOGIN_TOLD: u8 = 12;
pub(super) const LOGIN_TOLD_GONE: u8 = 13;

impl Record {
    /// What the record is about: a later record of the same subject replaces this one.
    pub fn subject(&self) -> Fingerprint {
        match self {
            Self::Seed(_) => subject(SEED, &[]),
            Self::Token(token) => subject(TOKEN, token.name.as_str().as_bytes()),
            Self::TokenGone(name) => subject(TOKEN, name.as_str().as_bytes()),
            Self::Target(KeptTarget { path, .. }) | Self::TargetGone(path) => {
                subject(TARGET, path.as_os_str().as_bytes())
            }
            Self::Refresh(KeptRefresh { name, .. }) | Self::RefreshGone(name) => {
                subject(REFRESH, name.as_str().as_bytes())
            }
            Self::Streak(name, _) | Self::StreakGone(name) => subject(STREAK, name.as_str().as_bytes()),
            Self::Owed(name) | Self::OwedGone(name) => subject(OWED, name.as_str().as_bytes()),
            Self::LoginTold(name, _) | Self::LoginToldGone(name) => subject(LOGIN_TOLD, name.as_str().as_bytes()),
        }
    }

    /// Whether it only ends its subject, and need not be kept itself.
    pub(super) fn ends(&self) -> bool {
        matches!(
            self,
            Self::TokenGone(_)
                | Self::TargetGone(_)
                | Self::RefreshGone(_)
                | Self::StreakGone(_)
                | Self::OwedGone(_)
                | Self::LoginToldGone(_)
        )
    }

    /// Appends the record's frame to `out`; `None`, and `out` as it was, where the record is too long.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&[0; FRAME - MARK.len()]);
        self.put_body(out);
        let length = out.len() - start - FRAME;
        let Some(length) = u32::try_from(length).ok().filter(|_| length <= MOST) else {
            out.truncate(start);
            return None;
        };
        let crc = checksum(length, out.get(start + FRAME..)?);
        out.get_mut(start + 4..start + 8)?.copy_from_slice(&length.to_le_bytes());
        out.get_mut(start + 8..start + FRAME)?.copy_from_slice(&crc.to_le_bytes());
        Some(())
    }

    /// What `encode` appends: room is made once, so that no copy of a token stays in freed memory.
    pub(super) fn room(&self) -> usize {
        let mut count = ByteCount(FRAME);
        self.put_body(&mut count);
        count.0
    }

    /// `None` where the bytes are no record of a version that is known.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let (version, body) = body.split_first()?;
        if !(OLDEST..=VERSION).contains(version) {
            return None;
        }
        let mut rest = RecordReader::new(body, *version);
        let record = Self::take_body(&mut rest)?;
        rest.is_empty().then_some(record)
    }
}

/// Where the body of a whole, good frame at `at` is; `None` where none is there.
pub(super) fn frame_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let frame = bytes.get(at..)?.first_chunk::<FRAME>()?;
    let (mark, rest) = frame.split_first_chunk::<4>()?;
    let (length, crc) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let size = usize::try_from(length).ok().filter(|size| *size <= MOST)?;
    let range = at + FRAME..at.checked_add(FRAME)?.checked_add(size)?;
    let body = bytes.get(range.clone())?;
    (*mark == MARK && checksum(length, body).to_le_bytes() == crc).then_some(range)
}

/// Whether the bytes from `at` on may be what a crash left of a write: cut off, or never filled.
pub(super) fn is_torn(bytes: &[u8], at: usize) -> bool {
    let Some(rest) = bytes.get(at..) else {
        return true;
    };
    let whole =
        |length: &[u8; 4]| usize::try_from(u32::from_le_bytes(*length)).is_ok_and(|size| size <= rest.len() - FRAME);
    let cut = MARK.starts_with(rest)
        || rest.starts_with(&MARK)
            && rest
                .first_chunk::<FRAME>()
                .and_then(|frame| frame.get(4..)?.first_chunk::<4>())
                .is_none_or(|length| !whole(length));
    // Longer than any record's own zeros at its end.
    cut || rest.iter().all(|byte| *byte == 0) || rest.ends_with(&[0; 16])
}

pub(super) fn checksum(length: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

pub(super) fn subject(kind: u8, name: &[u8]) -> Fingerprint {
    let mut bytes = Vec::with_capacity(1 + name.len());
    bytes.push(kind);
    bytes.extend_from_slice(name);
    Fingerprint::of(&bytes)
}
