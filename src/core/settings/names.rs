//! Owns: what tokens, files and bytes are known by.
//! Does not: know what they are.

use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::{crypto, hash};

/// A token's name: 1 to 64 of `A-Z a-z 0-9 _ . -`, a letter or digit first. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(Arc<str>);

impl TokenName {
    /// `None` where `name` breaks the rule above.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = name.bytes();
        let first = bytes.next()?;
        let good = first.is_ascii_alphanumeric()
            && name.len() <= 64
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        good.then(|| Self(name.into()))
    }

    /// A name as it was asked for, for an error; what can be no name may be a token.
    pub fn shown(asked: &str) -> &str {
        if Self::new(asked).is_some() { asked } else { "(not a name, and not shown)" }
    }

    /// As it stands in the config.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same name in memory of its own: for what outlives the config that was read.
    pub(crate) fn copied(&self) -> Self {
        Self(Arc::from(self.as_str()))
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that is looked for by its name among many.
pub(crate) trait ByName: PartialEq {
    fn bytes(&self) -> &[u8];

    /// The same in each run: what follows from it does too.
    fn hashed(&self) -> u64 {
        hash::hash(self.bytes())
    }
}

impl ByName for TokenName {
    fn bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl ByName for TargetPath {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The first 16 bytes of a SHA-256: tells two tokens, settings or files apart without holding them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Of all the bytes, in this order.
    pub fn of(bytes: &[u8]) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&crypto::sha256(bytes).as_ref()[..16]);
        Self(first)
    }

    /// All of it, for another process.
    pub(crate) fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// What [`hex`](Self::hex) gave.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// The first 8 hex digits of the SHA-256, as `status` shows them.
    pub fn short(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0[..4])
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// The absolute path of a file that renewd writes. Cheap to clone, and ordered by its bytes: a `Path` is compared component by component,
/// which took two fifths of a start with 10,000 files.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPath(Arc<OsStr>);

impl Deref for TargetPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl From<PathBuf> for TargetPath {
    fn from(path: PathBuf) -> Self {
        Self(path.as_os_str().into())
    }
}

impl fmt::Debug for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
