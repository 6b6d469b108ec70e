//! TLS with files that may be renewed: checked at each connection, read again when they have changed. Files that cannot
//! be used leave the old ones in use, and this is logged.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use coroner_runtime::problem::Problem;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem, pem::PemObject},
        server::{NoServerSessionStorage, WebPkiClientVerifier},
    },
};

use super::expiry::expire_time;
use crate::messages::{problem, start};

/// The files are looked at no more often.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The PEM files that TLS is set up by.
#[derive(Clone, Debug)]
pub struct Files {
    /// The file of the server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// The file of the certificate's private key.
    pub key: PathBuf,
    /// The authority of client certificates; without it none is requested.
    pub client_ca: Option<PathBuf>,
    /// The file of the client CA's revocation list, PEM.
    pub client_crl: Option<PathBuf>,
}

/// The certificates that the listeners present and trust, read again when their files change.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    /// A client without a certificate may go on: it may have a token.
    certificate_optional: bool,
    loaded: Mutex<Loaded>,
}

/// Until when certificates are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// What the certificates are for, such as `server` or `client_ca`.
    pub purpose: &'static str,
    /// When the first of them expires, in seconds since 1970.
    pub time: i64,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// The same for browsers.
    web: Arc<ServerConfig>,
    expiries: Vec<Expiry>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

/// What changes with a file: device, inode, size, and the time of its last change in nanoseconds. None if it is not
/// there.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn new(files: Files, certificate_optional: bool) -> Result<Self, Problem> {
        let stamps = files.stamps();
        let config = files.load(certificate_optional)?;
        let expiries = files.expiries();
        let web = for_web(&config);
        let loaded = Mutex::new(Loaded { config, web, expiries, stamps, looked: Instant::now() });
        Ok(Self { files, certificate_optional, loaded })
    }

    /// The settings of the next handshake.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.loaded().config))
    }

    /// The same for browsers, and proxies before them: some have HTTP/1.1 alone.
    pub fn web_acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.loaded().web))
    }

    /// Until when the certificates in use are valid.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.loaded().expiries.clone()
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked.elapsed() >= LOOK_INTERVAL {
            self.look(&mut loaded);
        }
        loaded
    }

    fn look(&self, loaded: &mut Loaded) {
        loaded.looked = Instant::now();
        let stamps = self.files.stamps();
        if stamps == loaded.stamps {
            return;
        }
        // Those of before the reading: what changes meanwhile is found at the next look.
        loaded.stamps = stamps;
        match self.files.load(self.certificate_optional) {
            Ok(config) => {
                loaded.web = for_web(&config);
                loaded.config = config;
                loaded.expiries = self.files.expiries();
                tracing::info!("The files for TLS have changed and are in use");
            }
            Err(error) => {
                tracing::error!(%error, "The files for TLS have changed and cannot be used: the old ones stay");
            }
        }
    }
}

impl Files {
    fn all(&self) -> impl Iterator<Item = &Path> {
        let optional = [&self.client_ca, &self.client_crl].into_iter().flatten();
        [&self.certificate, &self.key].into_iter().chain(optional).map(PathBuf::as_path)
    }

    /// Of those that can be read.
    fn expiries(&self) -> Vec<Expiry> {
        let files = [("server", Some(&self.certificate)), ("client_ca", self.client_ca.as_ref())];
        let expiry = |(purpose, path): (_, Option<&PathBuf>)| {
            let time = certificates(path?).ok()?.iter().filter_map(expire_time).min()?;
            Some(Expiry { purpose, time })
        };
        files.into_iter().filter_map(expiry).collect()
    }

    fn stamps(&self) -> Vec<Stamp> {
        let stamp = |metadata: fs::Metadata| {
            (metadata.dev(), metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec())
        };
        self.all().map(|path| fs::metadata(path).ok().map(stamp)).collect()
    }

    fn load(&self, certificate_optional: bool) -> Result<Arc<ServerConfig>, Problem> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = match &self.client_ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(unusable)?;
                }
                let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
                if let Some(path) = &self.client_crl {
                    let bytes = read(path)?;
                    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
                    let lists = match lists {
                        // A file that is being written must not mean that nothing is revoked.
                        Ok(lists) if lists.is_empty() => Err(pem::Error::NoItemsFound),
                        lists => lists,
                    };
                    let lists = lists.map_err(|source| content(path, "list", &source))?;
                    verifier = verifier.with_crls(lists).only_check_end_entity_revocation();
                }
                if certificate_optional {
                    verifier = verifier.allow_unauthenticated();
                }
                verifier.build().map_err(|error| problem(start::tls_verifier(error.to_string())))?
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|e| content(&self.key, "key", &e))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&self.certificate)?, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".into()];
        // A session that is resumed is not verified again, and outlives its certificate.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

fn for_web(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols.push(b"http/1.1".into());
    Arc::new(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let bytes = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if all.is_empty() => Err(content(path, "certificate", &pem::Error::NoItemsFound)),
        all => all.map_err(|source| content(path, "certificate", &source)),
    }
}

fn content(path: &Path, what: &str, error: &pem::Error) -> Problem {
    problem(start::tls_content(path.display().to_string(), what, error.to_string()))
}

fn unusable(error: rustls::Error) -> Problem {
    problem(start::tls_unusable(error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    fs::read(path).map_err(|error| problem(start::tls_unreadable(path.display().to_string(), error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn write(directory: &Path) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["a.example".into()]).unwrap().self_signed(&key).unwrap();
        fs::write(directory.join("key"), key.serialize_pem()).unwrap();
        fs::write(directory.join("certificate"), certificate.pem()).unwrap();
    }

    #[test]
    fn renewed_files_are_taken_up_and_broken_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        write(directory);
        let (certificate, key) = (directory.join("certificate"), directory.join("key"));
        let files = Files { certificate, key, client_ca: None, client_crl: None };
        let tls = Tls::new(files.clone(), false).unwrap();
        let look = || {
            let mut loaded = tls.loaded.lock().unwrap();
            let before = Arc::clone(&loaded.config);
            tls.look(&mut loaded);
            !Arc::ptr_eq(&before, &loaded.config)
        };
        assert!(!look(), "nothing has changed");
        write(directory);
        assert!(look(), "they have changed");
        assert!(!look());
        let good = fs::read(&files.key).unwrap();
        for broken in ["", "-----BEGIN PRIVATE KEY-----\nAAAA", "nonsense"] {
            fs::write(&files.key, broken).unwrap();
            assert!(!look(), "{broken:?} is in use");
        }
        fs::remove_file(&files.key).unwrap();
        assert!(!look(), "a file that is not there is in use");
        fs::write(&files.key, good).unwrap();
        assert!(look(), "it is good again");
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("certificate"), directory.path().join("key"));
        write(directory.path());
        let files = Files { certificate, key: key.clone(), client_ca: Some(key.clone()), client_crl: None };
        let message = Tls::new(files.clone(), false).unwrap_err().to_string();
        assert!(message.contains(key.to_str().unwrap()) && message.contains("certificate"), "{message}");
        let list = directory.path().join("list");
        fs::write(&list, "").unwrap();
        let files = Files { client_ca: Some(files.certificate.clone()), client_crl: Some(list), ..files };
        let message = Tls::new(files, false).unwrap_err().to_string();
        assert!(message.contains("revocation list"), "an empty list revokes nothing: {message}");
    }
}
