//! Connections to NATS.

use std::{io, path::PathBuf, time::Duration};

use async_nats::ConnectOptions;
use coroner_runtime::problem::Problem;
use url::Url;

use super::{
    file::UnusableFile,
    tls::Tls,
    url::{Host, Options},
};

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// A server of NATS, and who one is to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NatsServer {
    pub(crate) host: Host,
    pub(crate) tls: Option<Tls>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) creds_file: Option<PathBuf>,
}

impl NatsServer {
    /// Takes its options, those of [`Tls`] among them.
    pub(crate) fn of(options: &mut Options, url: &Url, with_tls: bool) -> Result<Self, Problem> {
        let host = Host::of(url, 4222)?;
        Ok(Self {
            tls: Tls::of(options, url, &host, with_tls)?,
            host,
            token_file: options.path("token-file"),
            creds_file: options.path("creds-file"),
        })
    }
}

/// How to connect to this server, with its files as they are now.
///
/// # Errors
/// If one of these files cannot be used.
pub(crate) async fn options(server: &NatsServer) -> io::Result<ConnectOptions> {
    let mut options = ConnectOptions::new().name("coroner-aggregator").connection_timeout(CONNECT_DEADLINE);
    if let Some(tls) = &server.tls {
        options = options.require_tls(true).tls_client_config(tls.config()?);
    }
    if let Some(path) = &server.token_file {
        let token = std::fs::read_to_string(path).map_err(|error| UnusableFile::failed(path, &error))?;
        options = options.token(token.trim().to_owned());
    }
    if let Some(path) = &server.creds_file {
        options = options.credentials_file(path).await.map_err(|error| UnusableFile::failed(path, &error))?;
    }
    Ok(options)
}
