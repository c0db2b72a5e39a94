//! Owns: private keys and certificates made by openssl: private CAs, servers and clients of theirs, and bad ones.
//! Does not: use renewd.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::openssl_in;

/// The extensions of a server here, under all its names.
pub const HERE: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n";
/// Those of a client.
pub const CLIENT: &str = "extendedKeyUsage=clientAuth\n";

const CURVE: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// A folder of them.
pub struct Pki {
    folder: PathBuf,
    _own: Option<tempfile::TempDir>,
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

impl Pki {
    /// With a CA called `ca`, in a folder of its own.
    pub fn new() -> Self {
        let own = tempfile::tempdir().expect("a temp folder");
        let pki = Self { folder: own.path().to_owned(), _own: Some(own) };
        pki.authority("ca");
        pki
    }

    /// Nothing yet, in a folder that is there.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), _own: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file")
    }

    /// NAME.key, for an algorithm of JOSE (RS256, ES256, EdDSA); the public key as PEM.
    pub fn key(&self, name: &str, algorithm: &str) -> String {
        let kind: &[&str] = match algorithm {
            "ES256" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "EdDSA" => &["-algorithm", "ED25519"],
            _ => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        };
        let file = self.private(name);
        self.openssl(&[&["genpkey"], kind, &["-out", &file]].concat());
        String::from_utf8(self.openssl(&["pkey", "-in", &file, "-pubout"])).expect("PEM")
    }

    /// A CA: NAME.crt, whose path is given, and NAME.key. All have one subject: a certificate is judged by the key that signed it.
    pub fn authority(&self, name: &str) -> PathBuf {
        let (key, certificate) = (self.private(name), format!("{name}.crt"));
        let files =
            ["req", "-x509", "-days", "2", "-subj", "/CN=a CA of the tests", "-keyout", &key, "-out", &certificate];
        self.openssl(&[&files[..], &CURVE, &["-addext", "keyUsage=critical,keyCertSign"]].concat());
        self.path(&certificate)
    }

    /// NAME.crt, whose path is given, and NAME.key, signed by the CA `ca` for so many days, with the extensions of an openssl config.
    pub fn issue(&self, name: &str, days: &str, extensions: &str) -> PathBuf {
        self.issue_by("ca", name, days, extensions)
    }

    /// The same by another CA.
    pub fn issue_by(&self, ca: &str, name: &str, days: &str, extensions: &str) -> PathBuf {
        let file = |ending: &str| format!("{name}.{ending}");
        let (key, request, certificate, ext) = (self.private(name), file("csr"), file("crt"), file("ext"));
        fs::write(self.path(&ext), extensions).expect("written");
        let asked = ["req", "-subj", &format!("/CN={name}"), "-keyout", &key, "-out", &request];
        self.openssl(&[&asked[..], &CURVE].concat());
        let (ca, ca_key) = (format!("{ca}.crt"), format!("{ca}.key"));
        let signed = ["x509", "-req", "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", days];
        self.openssl(&[&signed[..], &["-in", &request, "-extfile", &ext, "-out", &certificate]].concat());
        self.path(&certificate)
    }

    /// A server that shows NAME's certificate, and wants one of the clients of `client_ca`.
    pub fn server(&self, name: &str, client_ca: Option<&str>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificates(&self.path(&format!("{ca}.crt"))).remove(0)).expect("a root");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let chain = certificates(&self.path(&format!("{name}.crt")));
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key");
        Arc::new(builder.with_single_cert(chain, key).expect("a pair"))
    }

    /// NAME.key, empty, for its owner alone.
    fn private(&self, name: &str) -> String {
        let file = format!("{name}.key");
        let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(self.path(&file));
        made.expect("a key's file");
        file
    }

    fn openssl(&self, args: &[&str]) -> Vec<u8> {
        openssl_in(&self.folder, args)
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).expect("a file").collect::<Result<_, _>>().expect("certificates")
}
