//! Owns: an answer's body as it came: whether it is whole where the connection ended oddly, and what is in it where it is
//! compressed.
//! Does not: receive it, or know what it holds.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use zeroize::Zeroizing;

use crate::core::json;
use crate::core::secret::make_room;

/// An answer ends here; no token is as long.
pub(super) const LARGEST_ANSWER: usize = 1024 * 1024;

/// Whether nothing can be missing: one JSON object, to its last brace. Some servers end the connection without TLS's
/// close_notify, or reset it, once all is sent.
pub(super) fn is_whole(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
        && json::parse_lenient(body).map(|mut read| json::wipe(&mut read.value)).is_ok()
}

/// Why a body cannot be unpacked.
pub(super) enum PackedBody {
    Unknown,
    Damaged,
    TooLarge,
}

/// What a body holds that is packed as Content-Encoding says (RFC 9110 8.4.1). Some servers pack although `identity` was
/// asked for.
pub(super) fn unpacked(body: Zeroizing<Vec<u8>>, encoding: &str) -> Result<Zeroizing<Vec<u8>>, PackedBody> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(body),
        // A server that names it and does not do it.
        _ if is_whole(&body) => Ok(body),
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(&body[..])),
        // zlib's format is the standard's; some send the bare one.
        "deflate" => match read(ZlibDecoder::new(&body[..])) {
            Err(PackedBody::Damaged) => read(DeflateDecoder::new(&body[..])),
            read => read,
        },
        _ => Err(PackedBody::Unknown),
    }
}

fn read(packed: impl Read) -> Result<Zeroizing<Vec<u8>>, PackedBody> {
    let mut packed = packed.take(LARGEST_ANSWER as u64 + 1);
    let mut body: Zeroizing<Vec<u8>> = Zeroizing::default();
    let mut piece = Zeroizing::new([0; 4096]);
    loop {
        match packed.read(&mut piece[..]) {
            Ok(0) => return Ok(body),
            Ok(length) if body.len() + length > LARGEST_ANSWER => return Err(PackedBody::TooLarge),
            Ok(length) => {
                make_room(&mut body, length);
                body.extend_from_slice(&piece[..length]);
            }
            Err(_) => return Err(PackedBody::Damaged),
        }
    }
}
