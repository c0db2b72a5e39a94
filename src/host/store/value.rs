//! Owns: the values that a record is made of as bytes, all little-endian: each is said once, for writing, for the room that it
//! takes, and for taking it off again, whatever the bytes claim.
//! Does not: know records.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::engine::{Doubt, Reason};
use crate::core::secret::Secret;
use crate::core::settings::{Fingerprint, TargetPath, TokenName};
use crate::core::time::Wall;

/// Where bytes are written to.
pub(super) trait ByteSink {
    fn write(&mut self, bytes: &[u8]);
}

impl ByteSink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts bytes only.
pub(super) struct ByteCount(pub usize);

impl ByteSink for ByteCount {
    fn write(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// A value as it stands in a record.
pub(super) trait RecordValue: Sized {
    fn put(&self, out: &mut dyn ByteSink);

    /// Takes it off the front; `None` where it is not there.
    fn take(from: &mut RecordReader<'_>) -> Option<Self>;
}

/// The fields of a struct in the order in which they are written. Those of `since_2` a body of version 1 does not have.
macro_rules! fields {
    ($of:ty { $($field:ident),+ $(; since_2: $($newer:ident),+)? }) => {
        impl RecordValue for $of {
            fn put(&self, out: &mut dyn ByteSink) {
                $(self.$field.put(out);)+
                $($(self.$newer.put(out);)+)?
            }

            fn take(from: &mut RecordReader<'_>) -> Option<Self> {
                Some(Self {
                    $($field: RecordValue::take(from)?,)+
                    $($($newer: from.since_2()?,)+)?
                })
            }
        }
    };
}

pub(super) use fields;

/// What is read of a record still.
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
    pub(super) fn since_2<T: RecordValue + Default>(&mut self) -> Option<T> {
        if self.version < 2 { Some(T::default()) } else { T::take(self) }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
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

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

fn put_count(out: &mut dyn ByteSink, count: usize) {
    // Saturated only beyond 4 GiB, which a record refuses as too long.
    out.write(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_bytes(out: &mut dyn ByteSink, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.write(bytes);
}

/// A value by how it is written and how it is read.
macro_rules! value {
    ($of:ty, |$value:ident, $out:ident| $put:expr, |$from:ident| $take:expr) => {
        impl RecordValue for $of {
            fn put(&self, $out: &mut dyn ByteSink) {
                let $value = self;
                $put;
            }

            fn take($from: &mut RecordReader<'_>) -> Option<Self> {
                $take
            }
        }
    };
}

value!(u8, |it, out| out.write(&[*it]), |from| from.array::<1>().map(|[byte]| byte));
value!(u64, |it, out| out.write(&it.to_le_bytes()), |from| from.array().map(u64::from_le_bytes));
value!(u32, |it, out| u64::from(*it).put(out), |from| u64::take(from)?.try_into().ok());
value!(Wall, |it, out| out.write(&it.0.to_le_bytes()), |from| from.array().map(i64::from_le_bytes).map(Wall));
value!(Fingerprint, |it, out| out.write(&it.0), |from| from.array().map(Fingerprint));
value!(String, |it, out| put_bytes(out, it.as_bytes()), |from| from.text().map(str::to_owned));
value!(Arc<str>, |it, out| put_bytes(out, it.as_bytes()), |from| from.text().map(Into::into));
value!(TokenName, |it, out| put_bytes(out, it.as_str().as_bytes()), |from| TokenName::new(from.text()?));
value!(Secret<String>, |it, out| it.expose().put(out), |from| String::take(from).map(Secret::new));
value!(TargetPath, |it, out| put_bytes(out, it.as_os_str().as_bytes()), |from| {
    let path = OsString::from_vec(from.bytes()?.to_vec());
    Path::new(&path).is_absolute().then(|| PathBuf::from(path).into())
});
value!(bool, |it, out| u8::from(*it).put(out), |from| match u8::take(from)? {
    0 => Some(false),
    1 => Some(true),
    _ => None,
});

impl<T: RecordValue> RecordValue for Option<T> {
    fn put(&self, out: &mut dyn ByteSink) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut RecordReader<'_>) -> Option<Self> {
        if bool::take(from)? { T::take(from).map(Some) } else { Some(None) }
    }
}

impl<T: RecordValue> RecordValue for Box<T> {
    fn put(&self, out: &mut dyn ByteSink) {
        (**self).put(out);
    }

    fn take(from: &mut RecordReader<'_>) -> Option<Self> {
        T::take(from).map(Box::new)
    }
}

impl<T: RecordValue> RecordValue for Vec<T> {
    fn put(&self, out: &mut dyn ByteSink) {
        put_count(out, self.len());
        self.iter().for_each(|item| item.put(out));
    }

    fn take(from: &mut RecordReader<'_>) -> Option<Self> {
        let count = from.count()?;
        // The count may be a lie: each item takes a byte at least.
        let mut items = Self::with_capacity(count.min(from.rest.len() / 5));
        for _ in 0..count {
            items.push(T::take(from)?);
        }
        Some(items)
    }
}

impl<T: RecordValue> RecordValue for Arc<T> {
    fn put(&self, out: &mut dyn ByteSink) {
        T::put(self, out);
    }

    fn take(from: &mut RecordReader<'_>) -> Option<Self> {
        T::take(from).map(Self::new)
    }
}

impl<A: RecordValue, B: RecordValue> RecordValue for (A, B) {
    fn put(&self, out: &mut dyn ByteSink) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(from: &mut RecordReader<'_>) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}

/// An enum whose words have numbers, which never change.
trait Numbered: Sized {
    fn number(&self) -> u8;
    fn of_number(number: u8) -> Option<Self>;
}

/// Gives them their numbers. A word without one does not compile.
macro_rules! numbered {
    ($of:ident { $($word:ident = $number:literal),+ $(,)? }) => {
        impl Numbered for $of {
            fn number(&self) -> u8 {
                match self {
                    $(Self::$word => $number,)+
                }
            }

            fn of_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$word),)+
                    _ => None,
                }
            }
        }
    };
}

numbered!(Reason {
    Rejected = 0,
    Unreachable = 1,
    InvalidAnswer = 2,
    Machine = 3,
    Delivery = 4,
    Hook = 5,
    LoginDue = 6,
    Login = 7,
});

// 0 stands for none.
numbered!(Doubt { Cut = 1, Lost = 2, Unread = 3, Stale = 4, Refused = 5, Reused = 6 });

value!(Reason, |it, out| it.number().put(out), |from| Reason::of_number(u8::take(from)?));
value!(Option<Doubt>, |it, out| it.as_ref().map_or(0, Numbered::number).put(out), |from| match u8::take(from)? {
    0 => Some(None),
    number => Doubt::of_number(number).map(Some),
});
