//! Owns: certificates made by openssl: a private CA, servers and a client of it, and bad ones.
//! Does not: use renewd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use renewd::core::secret::Secret;
use renewd::core::settings::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    pub fn new() -> Self {
        let pki = Self { folder: tempfile::tempdir().expect("a temp folder") };
        pki.ca("ca");
        pki
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file")
    }

    /// NAME.crt and NAME.key, signed by itself.
    pub fn ca(&self, name: &str) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
        let subject = format!("/CN={name} of a test");
        self.openssl(
            &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
            &["-subj", &subject, "-keyout", &key, "-out", &certificate, "-addext", "keyUsage=critical,keyCertSign"],
        );
    }

    /// NAME.crt and NAME.key, signed by `ca`, with the extensions of an openssl config.
    pub fn issue(&self, name: &str, days: &str, extensions: &str) {
        let file = |ending: &str| format!("{name}.{ending}");
        let (key, request, certificate, ext) = (file("key"), file("csr"), file("crt"), file("ext"));
        fs::write(self.path(&ext), extensions).expect("written");
        let subject = format!("/CN={name}");
        let curve = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        self.openssl(&curve, &["-subj", &subject, "-keyout", &key, "-out", &request]);
        let sign = ["x509", "-req", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
        self.openssl(&sign, &["-in", &request, "-days", days, "-extfile", &ext, "-out", &certificate]);
    }

    fn openssl(&self, command: &[&str], rest: &[&str]) {
        let mut openssl = Command::new("openssl");
        let ran = openssl.args(command).args(rest).current_dir(self.folder.path()).output().expect("openssl");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
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

    pub fn identity(&self, name: &str) -> Identity {
        Identity {
            certificates: self.read(&format!("{name}.crt")).into(),
            key: Arc::new(Secret::new(self.read(&format!("{name}.key")))),
        }
    }
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).expect("a file").collect::<Result<_, _>>().expect("certificates")
}

/// Of a server here, under all its names.
pub const HERE: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n";
pub const CLIENT: &str = "extendedKeyUsage=clientAuth\n";
