//! Owns: what can be wrong with a key, in words for the person who gave it, with the way out.
//! Does not: name the file (the caller does), or hold a byte of the key.

use super::super::json::JsonError;
use super::algorithm::Algorithm;

/// Why bytes are no key that can be used. Reads after "FILE: ".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    #[error("it is empty")]
    Empty,
    #[error("it is neither PEM (-----BEGIN ...) nor a JWK ({{\"kty\": ...}})")]
    NotAKey,
    #[error("it is DER, not PEM: convert it with `openssl pkey -inform DER -in FILE -out key.pem`")]
    Der,
    #[error("its PEM is damaged: lines are missing or changed; copy the whole file again")]
    DamagedPem,
    #[error("it holds {count} PEM blocks: give a file with the key alone (`openssl pkey -in FILE -out key.pem`)")]
    SeveralBlocks { count: usize },
    #[error(
        "the key is encrypted, and nobody is there to type the passphrase: `openssl pkcs8 -topk8 -nocrypt -in FILE -out key.pem` decrypts it"
    )]
    Encrypted,
    #[error("it is in OpenSSH's own format: `ssh-keygen -p -m PKCS8 -f FILE` converts a copy of it")]
    OpenSsh,
    #[error("it is a public key, and signing needs the private one")]
    PublicForPrivate,
    #[error("it is a private key where a public one belongs: `openssl pkey -in FILE -pubout` gives its public half")]
    PrivateForPublic,
    #[error("it is a certificate, not a private key: give the key that belongs to it")]
    CertificateForPrivate,
    #[error("it is a certificate: `openssl x509 -in FILE -noout -pubkey` gives its public key")]
    CertificateForPublic,
    #[error(
        "it is a PEM block of another kind; supported are \"PRIVATE KEY\", \"RSA PRIVATE KEY\" and \"EC PRIVATE KEY\""
    )]
    ForeignBlock,
    #[error("it is {what}; supported are RSA of 2048 to 8192 bits, EC on P-256 or P-384, and Ed25519")]
    Unsupported { what: &'static str },
    #[error(
        "it is an RSA key of fewer than 2048 bits, which RFC 7518 3.3 forbids: make a new one with `openssl genrsa -out key.pem 2048`"
    )]
    SmallRsa,
    #[error("it is an RSA key of more than 8192 bits; supported are 2048 to 8192")]
    LargeRsa,
    #[error("{what} in it is damaged or inconsistent")]
    Broken { what: &'static str },

    #[error("as a JWK it cannot be read: {0}")]
    JwkJson(JsonError),
    #[error("it is a set of JWKs: give the one key of it that shall sign")]
    JwkSetForKey,
    #[error("it is neither a set of JWKs ({{\"keys\": [...]}}) nor a JWK")]
    NotAJwkSet,
    #[error("the JWK's member {member} is missing, or is not what RFC 7518 6 and RFC 8037 2 say")]
    JwkMember { member: &'static str },
    #[error("the JWK has no p, q, dp, dq and qi: export it with its primes (RFC 7518 6.3.2)")]
    JwkWithoutPrimes,
    #[error("the JWK's public and private halves do not belong together")]
    JwkHalvesDiffer,
    #[error("the JWK is symmetric (\"oct\"): give its k as the secret, with secret encoding base64url")]
    JwkSymmetric,
    #[error("the JWK's \"alg\" is not one that its key signs with here")]
    JwkAlgorithm,
    #[error("the JWK is not for signatures (its \"use\" or \"key_ops\" says so)")]
    JwkNotForSignatures,
    #[error("the JWK says it is for {only} alone, not for {algorithm}")]
    JwkOnlyFor { algorithm: Algorithm, only: Algorithm },

    #[error("{algorithm} wants {wants}, and this is {kind}", wants = .algorithm.kind().name())]
    WrongKind { algorithm: Algorithm, kind: String },
    #[error(
        "it is {bytes} bytes long, and {algorithm} wants {min} at least (RFC 7518 3.2): ask for a longer one, or allow it with allow_weak_secret (--allow-weak-secret)"
    )]
    WeakSecret { algorithm: Algorithm, bytes: usize, min: usize },
    #[error(
        "it is {what}, not a secret: whoever has its public part could sign (RFC 8725 2.1); RS, PS, ES and EdDSA take a private key"
    )]
    KeyForSecret { what: &'static str },
    #[error(
        "it holds a NUL byte, so it is no text: write binary secrets as base64 or hex, and say so as their encoding"
    )]
    NulInSecret,
    #[error("it is not {encoding}: {hint}")]
    NotEncoded { encoding: &'static str, hint: &'static str },
    #[error("signing with {algorithm} failed in the crypto library")]
    SigningFailed { algorithm: Algorithm },
}
