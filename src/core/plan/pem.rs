//! Owns: certificates in PEM (RFC 7468): that there are some, and the bytes of the first.
//! Does not: read what is in one, or read keys.

const CERTIFICATE: &str = "CERTIFICATE";

pub(super) const HELP: &str = "PEM: -----BEGIN CERTIFICATE----- and what follows";

/// The DER of all certificates in a text, in order; or what is wrong with it.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let blocks = pem::parse_many(text).map_err(|_| "is not usable: its PEM is damaged")?;
    let found: Vec<_> =
        blocks.into_iter().filter(|block| block.tag() == CERTIFICATE).map(pem::Pem::into_contents).collect();
    if found.is_empty() {
        return Err("is not usable: it holds no certificate");
    }
    // A certificate is a SEQUENCE (RFC 5280 4.1).
    match found.iter().all(|der| der.first() == Some(&0x30)) {
        true => Ok(found),
        false => Err("is not usable: what it holds is no certificate"),
    }
}

/// Whether it is PEM at all.
pub(super) fn holds_a_block(text: &[u8]) -> Result<(), &'static str> {
    match pem::parse_many(text) {
        Ok(blocks) if !blocks.is_empty() => Ok(()),
        _ => Err("is not usable: it is not PEM"),
    }
}
