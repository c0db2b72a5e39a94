//! Owns: PEM (RFC 7468 and its forerunners): which block of a file is its key, the key in it, and certificates.
//! Does not: read JWKs, decrypt, or look into a certificate.

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::algorithm::KeyKind;
use super::error::KeyError;
use super::material;
use super::oid;
use super::signing::SigningKey;
use super::verifying::VerifyingKey;

const CERTIFICATE: &str = "CERTIFICATE";
const BEGIN: &[u8] = b"-----BEGIN ";

struct Block {
    tag: String,
    der: Zeroizing<Vec<u8>>,
}

pub(super) fn private(text: &[u8]) -> Result<SigningKey, KeyError> {
    let Block { tag, der } = the_block(text)?;
    match tag.as_str() {
        "PRIVATE KEY" => match oid::kind_of(&der)? {
            KeyKind::Rsa => SigningKey::rsa(RsaKeyPair::from_pkcs8(&der)),
            KeyKind::Ed25519 => SigningKey::ed25519(Ed25519KeyPair::from_pkcs8(&der)),
            kind => SigningKey::ec(kind, |curve| EcdsaKeyPair::from_pkcs8(curve, &der)),
        },
        "RSA PRIVATE KEY" => SigningKey::rsa(RsaKeyPair::from_der(&der)),
        "EC PRIVATE KEY" => sec1(&der),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(KeyError::PublicForPrivate),
        tag if is_certificate(tag) => Err(KeyError::CertificateForPrivate),
        "OPENSSH PRIVATE KEY" => Err(KeyError::OpenSsh),
        "DSA PRIVATE KEY" => Err(KeyError::Unsupported { what: "a DSA key" }),
        _ => Err(KeyError::ForeignBlock),
    }
}

pub(super) fn public(text: &[u8]) -> Result<VerifyingKey, KeyError> {
    let Block { tag, der } = the_block(text)?;
    match tag.as_str() {
        "PUBLIC KEY" => VerifyingKey::new(oid::kind_of(&der)?, &der),
        "RSA PUBLIC KEY" => VerifyingKey::new(KeyKind::Rsa, &der),
        tag if is_certificate(tag) => Err(KeyError::CertificateForPublic),
        tag if tag.ends_with("PRIVATE KEY") => Err(KeyError::PrivateForPublic),
        _ => Err(KeyError::ForeignBlock),
    }
}

/// The DER of the one private key of a file, for those who read it themselves.
///
/// # Errors
/// There is not one block, or it is not in PEM.
pub(crate) fn private_der(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    the_block(text).map(|block| block.der)
}

/// The DER of all certificates in a text, in order; or what is wrong with it, after "it is not usable: ".
///
/// # Errors
/// It is not PEM, or has no certificate in it.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let blocks = pem::parse_many(text).map_err(|_| "its PEM is damaged")?;
    let found: Vec<_> =
        blocks.into_iter().filter(|block| block.tag() == CERTIFICATE).map(pem::Pem::into_contents).collect();
    if found.is_empty() {
        return Err("it holds no certificate");
    }
    // A certificate is a SEQUENCE (RFC 5280 4.1).
    match found.iter().all(|der| der.first() == Some(&0x30)) {
        true => Ok(found),
        false => Err("what it holds is no certificate"),
    }
}

fn is_certificate(tag: &str) -> bool {
    matches!(tag, CERTIFICATE | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE")
}

/// The one block of a file. `openssl ecparam -genkey` puts the curve's parameters before the key: they say nothing new.
fn the_block(text: &[u8]) -> Result<Block, KeyError> {
    if let Some(lines) = in_lines(text) {
        return the_block(&lines);
    }
    let begun = text.windows(BEGIN.len()).filter(|w| *w == BEGIN).count();
    if begun == 0 {
        if let Some(block) = bare(text) {
            return block;
        }
        return Err(match text {
            [] => KeyError::Empty,
            [0x30, 0x80..=0x84, ..] | [0x30, _, 0x02 | 0x30, ..] => KeyError::Der,
            _ => KeyError::NotAKey,
        });
    }
    let blocks = pem::parse_many(text).map_err(|_| KeyError::DamagedPem)?;
    if blocks.len() != begun {
        return Err(KeyError::DamagedPem);
    }
    let encrypted = |b: &pem::Pem| {
        b.tag() == "ENCRYPTED PRIVATE KEY" || b.headers().get("Proc-Type").is_some_and(|v| v.contains("ENCRYPTED"))
    };
    let mut keys: Vec<_> = blocks.into_iter().filter(|b| b.tag() != "EC PARAMETERS").collect();
    if keys.iter().any(encrypted) {
        return Err(KeyError::Encrypted);
    }
    match (keys.pop(), keys.len()) {
        (Some(block), 0) => Ok(Block { tag: block.tag().to_owned(), der: Zeroizing::new(block.into_contents()) }),
        (None, _) => Err(KeyError::ForeignBlock),
        (Some(_), others) => Err(KeyError::SeveralBlocks { count: others + 1 }),
    }
}

/// PEM that went through a variable or a JSON file, where it stands in one line: with its line ends written out, or once more in
/// base64. `None` of any other.
fn in_lines(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let has = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|w| w == part);
    if has(text, BEGIN) {
        if !has(text, b"\\n") {
            return None;
        }
        let text = Zeroizing::new(std::str::from_utf8(text).ok()?.trim().trim_matches('"').replace("\\r", ""));
        return Some(Zeroizing::new(text.replace("\\n", "\n").into_bytes()));
    }
    let decoded = Zeroizing::new(BASE64.decode(text.trim_ascii()).ok()?);
    has(&decoded, BEGIN).then_some(decoded)
}

/// What stands between the lines of PEM, without them: how keys are kept in JSON files and variables.
fn bare(text: &[u8]) -> Option<Result<Block, KeyError>> {
    let der = Zeroizing::new(BASE64.decode(&material::digits(text)).ok()?);
    let tag = match material::der(&der)? {
        material::PKCS8 => "PRIVATE KEY",
        material::RSA => "RSA PRIVATE KEY",
        material::EC => "EC PRIVATE KEY",
        material::PUBLIC => "PUBLIC KEY",
        material::SIGNED => CERTIFICATE,
        material::ENCRYPTED => return Some(Err(KeyError::Encrypted)),
        _ => return None,
    };
    Some(Ok(Block { tag: tag.to_owned(), der }))
}

/// SEC1 may leave its curve out. A number for P-384 is too large for P-256, so the smaller one is tried first.
fn sec1(der: &[u8]) -> Result<SigningKey, KeyError> {
    let on = |kind| SigningKey::ec(kind, |curve| EcdsaKeyPair::from_private_key_der(curve, der));
    match oid::curve_of(der)? {
        Some(kind) => on(kind),
        None => on(KeyKind::P256).or_else(|_| on(KeyKind::P384)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 10.3.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_in_one_line_is_read() {
        let escaped = KEY.replace('\n', "\\n");
        let windows = KEY.replace('\n', "\\r\\n");
        for text in
            [KEY.to_owned(), escaped.clone(), format!("\"{escaped}\"\n"), windows, BASE64.encode(KEY.as_bytes()) + "\n"]
        {
            assert!(private(text.as_bytes()).is_ok(), "{text}");
        }
        let between: Vec<_> = KEY.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(private(between.concat().as_bytes()).is_ok() && private(between.join("\n").as_bytes()).is_ok());
        // RFC 8410 10.1.
        let public = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        assert!(matches!(private(public.as_bytes()), Err(KeyError::PublicForPrivate)));
        for none in ["\\n", "AAAA", "-----BEGIN \\n"] {
            assert!(private(none.as_bytes()).is_err(), "{none}");
        }
    }
}
