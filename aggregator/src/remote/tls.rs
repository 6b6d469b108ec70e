//! TLS as a client, with files that are read again for each connection.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use coroner_runtime::problem::Problem;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use url::Url;

use super::{
    file::UnusableFile,
    url::{Host, Options},
};
use crate::messages::{problem, url as messages};

/// The files of a TLS client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Authorities that are trusted; those of the system if there is none.
    pub(crate) ca: Option<PathBuf>,
    /// The client certificate and its key, if the server requires one.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// The files that are read for each connection.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.ca.iter().chain(self.identity.iter().flat_map(|(certificate, key)| [certificate, key]))
    }

    /// Takes `ca`, `cert`, `key` and `insecure` from the options; none where it is not `wanted`. Without it, only this
    /// machine is connected to, unless `insecure` asks for more.
    pub(crate) fn of(options: &mut Options, url: &Url, host: &Host, wanted: bool) -> Result<Option<Self>, Problem> {
        let insecure = options.flag("insecure")?;
        let (ca, cert, key) = (options.take("ca"), options.take("cert"), options.take("key"));
        if !wanted {
            if ca.is_some() || cert.is_some() || key.is_some() {
                return Err(problem(messages::url_plain_with_files(url.scheme())));
            }
            if !insecure && !host.is_loopback() {
                return Err(problem(messages::url_plain(url.scheme())));
            }
            return Ok(None);
        }
        if insecure {
            return Err(problem(messages::url_insecure_with_tls()));
        }
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err(problem(messages::url_half_identity())),
        };
        Ok(Some(Self { ca: ca.map(Into::into), identity }))
    }

    /// What rustls has to know.
    ///
    /// # Errors
    /// `InvalidInput` for a file that cannot be used.
    pub(super) fn config(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(ca) => {
                for certificate in certificates(ca)? {
                    roots.add(certificate).map_err(|error| UnusableFile::failed(ca, error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| UnusableFile::failed(key, error))?;
                builder.with_client_auth_cert(chain, key_der).map_err(|error| UnusableFile::failed(certificate, error))
            }
        }
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(UnusableFile::NoCertificate { path: path.to_owned() }.into())
        }
        read => read.map_err(|error| UnusableFile::failed(path, error)),
    }
}
