//! Owns: the records of the state and their bytes: marker, length, checksum, and a versioned body, all little-endian.
//! Does not: read or write files, or judge which record counts.

use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::reader::{RecordReader, put_bytes, put_count};
use super::streak;
use crate::core::credential::RefreshToken;
use crate::core::engine::{Doubt, FailureStreak};
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
/// failure streak, and a hook that is owed to it.
pub(super) const VERSION: u8 = 3;
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

impl KeptLine {
    fn room(&self) -> usize {
        let env = self.env.as_ref();
        self.token.as_str().len() + env.map_or(0, |(a, b)| a.len() + b.as_ref().map_or(0, String::len)) + 16
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.token.as_str().as_bytes());
        out.push(u8::from(self.env.is_some()));
        if let Some((variable, expires)) = &self.env {
            put_bytes(out, variable.as_bytes());
            out.push(u8::from(expires.is_some()));
            if let Some(expires) = expires {
                put_bytes(out, expires.as_bytes());
            }
        }
    }

    fn decode(rest: &mut RecordReader<'_>) -> Option<Self> {
        let string = |rest: &mut RecordReader<'_>| rest.text().map(str::to_owned);
        let env = |rest: &mut RecordReader<'_>| Some((string(rest)?, rest.optional(string)?));
        Some(Self { token: rest.name()?, env: rest.optional(env)? })
    }
}

/// One entry of the state's log. A later one replaces an earlier one of the same name or path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// See [`Kept::seed`](super::Kept::seed); the first of a log that is new.
    Seed(u64),
    /// Obtained, delivered or not.
    Token(Arc<Token>),
    /// The config has not had it for a while, and no file is to lose it any more.
    TokenGone(TokenName),
    /// Kept before the file is written: a crash in between leaves no file that nobody owns.
    Target(KeptTarget),
    /// Removed, or left to who changed it.
    TargetGone(TargetPath),
    /// Made durable before a refresh token is sent, and again when its exchange has ended.
    Refresh(KeptRefresh),
    /// What the token's own record or the config says counts again.
    RefreshGone(TokenName),
    /// The token fails, and how.
    Streak(TokenName, FailureStreak),
    /// It recovered, or is gone.
    StreakGone(TokenName),
    /// The token was obtained by who delivers nothing: `after_rotate` is owed to it when it is delivered.
    Owed(TokenName),
    /// The hook is begun, or the token is gone.
    OwedGone(TokenName),
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
        }
    }

    /// Whether it only ends its subject, and need not be kept itself.
    pub(super) fn ends(&self) -> bool {
        matches!(
            self,
            Self::TokenGone(_) | Self::TargetGone(_) | Self::RefreshGone(_) | Self::StreakGone(_) | Self::OwedGone(_)
        )
    }

    /// Appends the record's frame to `out`; `None`, and `out` as it was, where the record is too long.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&[0; FRAME - MARK.len()]);
        self.encode_body(out);
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

    fn encode_body(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Self::Seed(seed) => {
                out.push(SEED);
                out.extend_from_slice(&seed.to_le_bytes());
            }
            Self::Token(kept) => {
                out.push(TOKEN);
                encode_token(kept, out);
            }
            Self::TokenGone(name) => put_name(out, TOKEN_GONE, name),
            Self::Target(kept) => {
                out.push(TARGET);
                put_bytes(out, kept.path.as_os_str().as_bytes());
                put_count(out, kept.digests.len());
                for digest in &kept.digests {
                    out.extend_from_slice(&digest.0);
                }
                put_count(out, kept.lines.len());
                for line in &kept.lines {
                    line.encode(out);
                }
            }
            Self::TargetGone(path) => {
                out.push(TARGET_GONE);
                put_bytes(out, path.as_os_str().as_bytes());
            }
            Self::Refresh(kept) => {
                out.push(REFRESH);
                put_bytes(out, kept.name.as_str().as_bytes());
                put_refresh_token(out, kept.next.as_ref());
                out.push(u8::from(kept.begun));
                out.push(u8::from(kept.sent.is_some()));
                if let Some(sent) = kept.sent {
                    out.extend_from_slice(&sent.at.0.to_le_bytes());
                    out.extend_from_slice(&sent.token.0);
                }
                out.push(kept.doubt.map_or(0, doubt_byte));
            }
            Self::Streak(name, kept) => {
                out.push(STREAK);
                put_bytes(out, name.as_str().as_bytes());
                streak::encode(kept, out);
            }
            Self::RefreshGone(name) => put_name(out, REFRESH_GONE, name),
            Self::StreakGone(name) => put_name(out, STREAK_GONE, name),
            Self::Owed(name) => put_name(out, OWED, name),
            Self::OwedGone(name) => put_name(out, OWED_GONE, name),
        }
    }

    /// An upper bound of what `encode` appends: room is made once, so that no copy of a token stays in freed memory.
    pub(super) fn room(&self) -> usize {
        FRAME
            + 128
            + match self {
                Self::Seed(_) => 0,
                Self::Token(kept) => {
                    let refresh = kept.refresh_token.as_ref();
                    kept.name.as_str().len()
                        + kept.value.expose().len()
                        + refresh.map_or(0, |refresh| refresh.token.expose().len())
                        + kept.scope.as_ref().map_or(0, String::len)
                }
                Self::Refresh(KeptRefresh { name, next, .. }) => {
                    name.as_str().len() + next.as_ref().map_or(0, |next| next.token.expose().len())
                }
                Self::TokenGone(name)
                | Self::RefreshGone(name)
                | Self::StreakGone(name)
                | Self::Owed(name)
                | Self::OwedGone(name) => name.as_str().len(),
                Self::Streak(name, kept) => name.as_str().len() + streak::room(kept),
                Self::Target(kept) => {
                    kept.path.as_os_str().len()
                        + 16 * kept.digests.len()
                        + kept.lines.iter().map(KeptLine::room).sum::<usize>()
                }
                Self::TargetGone(path) => path.as_os_str().len(),
            }
    }

    /// `None` where the bytes are no record of a version that is known.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let (version, body) = body.split_first()?;
        if !(OLDEST..=VERSION).contains(version) {
            return None;
        }
        let mut rest = RecordReader::new(body, *version);
        let record = match rest.byte()? {
            SEED => Self::Seed(rest.u64()?),
            TOKEN => Self::Token(Arc::new(decode_token(&mut rest)?)),
            TOKEN_GONE => Self::TokenGone(rest.name()?),
            TARGET => Self::Target(KeptTarget {
                path: rest.path()?,
                digests: rest.many(RecordReader::fingerprint)?,
                lines: rest.many(KeptLine::decode)?,
            }),
            TARGET_GONE => Self::TargetGone(rest.path()?),
            REFRESH => Self::Refresh(KeptRefresh {
                name: rest.name()?,
                next: rest.optional(RecordReader::refresh_token)?,
                begun: rest.optional(|_| Some(()))?.is_some(),
                sent: rest.since_2(|rest| rest.optional(first_sending))?,
                doubt: rest.since_2(|rest| doubt_of(rest.byte()?))?,
            }),
            REFRESH_GONE => Self::RefreshGone(rest.name()?),
            STREAK => Self::Streak(rest.name()?, streak::decode(&mut rest)?),
            STREAK_GONE => Self::StreakGone(rest.name()?),
            OWED => Self::Owed(rest.name()?),
            OWED_GONE => Self::OwedGone(rest.name()?),
            _ => return None,
        };
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

fn encode_token(kept: &Token, out: &mut Vec<u8>) {
    put_bytes(out, kept.name.as_str().as_bytes());
    out.extend_from_slice(&kept.generation.to_le_bytes());
    out.extend_from_slice(&kept.fingerprint.0);
    out.extend_from_slice(&kept.life.issued_at.0.to_le_bytes());
    out.push(u8::from(kept.life.expires_at.is_some()));
    if let Some(at) = kept.life.expires_at {
        out.extend_from_slice(&at.0.to_le_bytes());
    }
    out.extend_from_slice(&kept.life.obtained_at.0.to_le_bytes());
    put_bytes(out, kept.value.expose().as_bytes());
    put_refresh_token(out, kept.refresh_token.as_ref());
    out.push(u8::from(kept.scope.is_some()));
    if let Some(scope) = &kept.scope {
        put_bytes(out, scope.as_bytes());
    }
}

fn put_refresh_token(out: &mut Vec<u8>, refresh: Option<&RefreshToken>) {
    out.push(u8::from(refresh.is_some()));
    if let Some(refresh) = refresh {
        put_bytes(out, refresh.token.expose().as_bytes());
        out.extend_from_slice(&refresh.first.0);
        out.push(u8::from(refresh.expires_at.is_some()));
        if let Some(at) = refresh.expires_at {
            out.extend_from_slice(&at.0.to_le_bytes());
        }
    }
}

fn first_sending(rest: &mut RecordReader<'_>) -> Option<FirstSending> {
    Some(FirstSending { at: rest.wall()?, token: rest.fingerprint()? })
}

fn doubt_byte(doubt: Doubt) -> u8 {
    match doubt {
        Doubt::Cut => 1,
        Doubt::Lost => 2,
        Doubt::Unread => 3,
        Doubt::Stale => 4,
        Doubt::Refused => 5,
        Doubt::Reused => 6,
    }
}

/// 0 is none; the outer `None`: no doubt has this number.
fn doubt_of(byte: u8) -> Option<Option<Doubt>> {
    let all = [Doubt::Cut, Doubt::Lost, Doubt::Unread, Doubt::Stale, Doubt::Refused, Doubt::Reused];
    match byte {
        0 => Some(None),
        _ => all.into_iter().find(|doubt| doubt_byte(*doubt) == byte).map(Some),
    }
}

fn decode_token(rest: &mut RecordReader<'_>) -> Option<Token> {
    Some(Token {
        name: rest.name()?,
        generation: rest.u64()?,
        fingerprint: rest.fingerprint()?,
        life: Life {
            issued_at: rest.wall()?,
            expires_at: rest.optional(RecordReader::wall)?,
            obtained_at: rest.wall()?,
        },
        value: rest.secret()?,
        refresh_token: rest.optional(RecordReader::refresh_token)?,
        scope: rest.since_2(|rest| rest.optional(|rest| rest.text().map(str::to_owned)))?,
    })
}

fn put_name(out: &mut Vec<u8>, kind: u8, name: &TokenName) {
    out.push(kind);
    put_bytes(out, name.as_str().as_bytes());
}
