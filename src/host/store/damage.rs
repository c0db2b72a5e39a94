//! Owns: what the bytes of a damaged record tell still.
//! Does not: decide what follows from it (`doubt` does).

use super::record::{
    FRAME, MARK, OWED, OWED_GONE, REFRESH, REFRESH_GONE, Record, SEED, STREAK, STREAK_GONE, TARGET, TARGET_GONE, TOKEN,
    TOKEN_GONE, checksum,
};
use super::value::{RecordReader, RecordValue};
use crate::core::credential::RefreshToken;
use crate::core::settings::{TargetPath, TokenName};

/// What a damaged record was about, as far as its bytes tell.
pub(super) enum Damaged {
    /// Of a token of this name, or one that differs from it by what is damaged; its refresh token is there where the bytes
    /// have the shape of a whole record.
    Of(TokenName, Option<RefreshToken>),
    /// Of a file, the seed, or how a token failed: no token is in doubt.
    OfNone,
}

/// Reads the damaged record that stands from `at` to `end`, where the next good one begins. `None`: it is not one record, or
/// what it was about cannot be told.
pub(super) fn damaged_at(bytes: &[u8], at: usize, end: usize) -> Option<Damaged> {
    let frame = bytes.get(at..end)?.first_chunk::<FRAME>()?;
    let (mark, rest) = frame.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk::<4>()?)).ok()?;
    let body = bytes.get(at + FRAME..end)?;
    // Where its frame does not say that it is one, its checksum must.
    let is_one = *mark == MARK && at + FRAME + length == end;
    if !is_one && checksum(u32::try_from(body.len()).ok()?, body).to_le_bytes() != *frame.last_chunk::<4>()? {
        return None;
    }
    let (version, rest) = body.split_first()?;
    let mut rest = RecordReader::new(rest, *version);
    let kind = u8::take(&mut rest)?;
    if matches!(kind, TARGET | TARGET_GONE) {
        return TargetPath::take(&mut rest).map(|_| Damaged::OfNone);
    }
    if matches!(kind, SEED | STREAK | STREAK_GONE | OWED | OWED_GONE) {
        return Some(Damaged::OfNone);
    }
    let name = matches!(kind, TOKEN | TOKEN_GONE | REFRESH | REFRESH_GONE).then(|| TokenName::take(&mut rest))??;
    let refresh = match Record::decode(body) {
        Some(Record::Token(kept)) => kept.refresh_token.as_deref().cloned(),
        Some(Record::Refresh(kept)) => kept.next,
        _ => None,
    };
    Some(Damaged::Of(name, refresh))
}
