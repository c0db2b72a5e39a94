//! Owns: the values that a record is made of as bytes: lengths before what has none of its own, and taking values off again,
//! whatever the bytes claim.
//! Does not: know records.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::core::credential::RefreshToken;
use crate::core::secret::Secret;
use crate::core::settings::{Fingerprint, TargetPath, TokenName};
use crate::core::time::Wall;

/// Takes values off the front; `None` where they are not there.
pub(super) struct RecordReader<'a> {
    rest: &'a [u8],
    version: u8,
}

impl<'a> RecordReader<'a> {
    /// `version` is that of the body.
    pub(super) fn new(rest: &'a [u8], version: u8) -> Self {
        Self { rest, version }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What bodies of version 1 do not have.
    pub(super) fn since_2<T>(&mut self, take: impl Fn(&mut Self) -> Option<Option<T>>) -> Option<Option<T>> {
        if self.version < 2 { Some(None) } else { take(self) }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn wall(&mut self) -> Option<Wall> {
        self.array().map(|bytes| Wall(i64::from_le_bytes(bytes)))
    }

    pub(super) fn fingerprint(&mut self) -> Option<Fingerprint> {
        self.array().map(Fingerprint)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.array().map(u32::from_le_bytes)?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.count()?;
        let (first, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(first)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn name(&mut self) -> Option<TokenName> {
        TokenName::new(self.text()?)
    }

    pub(super) fn secret(&mut self) -> Option<Secret<String>> {
        Some(Secret::new(self.text()?.to_owned()))
    }

    pub(super) fn refresh_token(&mut self) -> Option<RefreshToken> {
        Some(RefreshToken {
            token: self.secret()?,
            first: self.fingerprint()?,
            expires_at: self.since_2(|rest| rest.optional(Self::wall))?,
        })
    }

    pub(super) fn path(&mut self) -> Option<TargetPath> {
        let path = OsString::from_vec(self.bytes()?.to_vec());
        Path::new(&path).is_absolute().then(|| PathBuf::from(path).into())
    }

    pub(super) fn optional<T>(&mut self, take: impl Fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(take(self)?)),
            _ => None,
        }
    }

    pub(super) fn many<T>(&mut self, take: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.count()?;
        // The count may be a lie: each item takes a byte at least.
        let mut items = Vec::with_capacity(count.min(self.rest.len() / 5));
        for _ in 0..count {
            items.push(take(self)?);
        }
        Some(items)
    }
}

pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    // Saturated only beyond 4 GiB, which `encode` refuses as too long.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_le_bytes());
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}
