//! Owns: the least that must be done: sign a token and put it in place durably, with nothing around it.
//! Does not: know renewd.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{hmac, rsa};
use data_encoding::BASE64URL_NOPAD;
use rustix::fs::{CWD, Mode, OFlags, fsync, openat, renameat, syncfs};

use support::SECRET;

/// How the tokens of a config are signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Hs256,
    Rs256,
    Es256,
}

impl Signed {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// An RSA key of 2048 bits, PEM (PKCS#8), made once a run.
pub(crate) fn rsa_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key");
        pem(pair.as_der().expect("PKCS#8").as_ref())
    })
}

/// A P-256 key, PEM (PKCS#8), made once a run.
pub(crate) fn ec_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        pem(pkcs8.expect("a key").as_ref())
    })
}

fn pem(der: &[u8]) -> String {
    pem::encode(&pem::Pem::new("PRIVATE KEY", der))
}

fn der(text: &str) -> Vec<u8> {
    pem::parse(text).expect("PEM").into_contents()
}

enum Key {
    Hs256(Box<hmac::Key>),
    Rs256(RsaKeyPair),
    Es256(EcdsaKeyPair),
}

impl Key {
    fn new(signed: Signed) -> Self {
        match signed {
            Signed::Hs256 => Self::Hs256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()))),
            Signed::Rs256 => Self::Rs256(RsaKeyPair::from_pkcs8(&der(rsa_key())).expect("the key")),
            Signed::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der(ec_key()));
                Self::Es256(pair.expect("the key"))
            }
        }
    }

    fn sign(&self, name: &str, index: usize) -> String {
        let mut jti = [0; 16];
        getrandom::fill(&mut jti).expect("random");
        let header = format!(r#"{{"typ":"JWT","alg":"{name}"}}"#);
        let jti = BASE64URL_NOPAD.encode(&jti);
        let claims = format!(r#"{{"iss":"key{index}","iat":1600000000,"exp":1600003600,"jti":"{jti}"}}"#);
        let signed =
            format!("{}.{}", BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(claims.as_bytes()));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Hs256(key) => hmac::sign(key, signed.as_bytes()).as_ref().to_vec(),
            Self::Es256(key) => key.sign(&random, signed.as_bytes()).expect("a signature").as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).expect("a signature");
                signature
            }
        };
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

/// One file after another: sign, create, write, fsync, rename, fsync the folder.
pub(crate) fn bare_loop(folder: &Path, files: usize, signed: Signed) -> Duration {
    let started = Instant::now();
    let (key, at) = (Key::new(signed), open(folder));
    for index in 0..files {
        put(&at, index, &key.sign(signed.name(), index));
        fsync(&at).expect("the folder's fsync");
    }
    started.elapsed()
}

/// The same by the fastest order that keeps the promise: all files written, all made durable at once, all renamed, the folder
/// fsynced.
pub(crate) fn floor(folder: &Path, files: usize, signed: Signed) -> Duration {
    let started = Instant::now();
    let (key, at) = (Key::new(signed), open(folder));
    for index in 0..files {
        drop(write(&at, index, &key.sign(signed.name(), index)));
    }
    syncfs(&at).expect("syncfs");
    (0..files).for_each(|index| rename(&at, index));
    fsync(&at).expect("the folder's fsync");
    started.elapsed()
}

/// What `main` is told, so that it does the floor and nothing else.
pub(crate) const ALONE: &str = "--floor";

/// A process of its own that does the floor.
pub(crate) fn process(folder: &Path, files: usize) -> Command {
    let mut process = Command::new(std::env::current_exe().expect("this program"));
    process.env_clear().arg(ALONE).arg(folder).arg(files.to_string());
    process
}

/// That process.
pub(crate) fn alone(args: &[String]) {
    let [folder, files] = args else { panic!("{ALONE} FOLDER FILES") };
    floor(Path::new(folder), files.parse().expect("a number"), Signed::Hs256);
}

fn open(folder: &Path) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, folder, flags, Mode::empty()).expect("the folder")
}

fn put(folder: &OwnedFd, index: usize, token: &str) {
    write(folder, index, token).sync_all().expect("the file's fsync");
    rename(folder, index);
}

fn temp(index: usize) -> String {
    format!(".t{index}.token.floor")
}

fn write(folder: &OwnedFd, index: usize, token: &str) -> File {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = openat(folder, temp(index), flags, Mode::from_raw_mode(0o600)).expect("a temporary file");
    let mut file = File::from(file);
    file.write_all(token.as_bytes()).expect("the write");
    file
}

fn rename(folder: &OwnedFd, index: usize) {
    renameat(folder, temp(index), folder, format!("t{index}.token")).expect("the rename");
}
