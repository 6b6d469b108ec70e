//! Connections to NATS, for the exporter and for a ledger that several aggregators share.

use std::{io, path::Path, time::Duration};

use async_nats::ConnectOptions;

use crate::export::{NatsServer, tls_config};

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How to connect to this server, with its files as they are now.
///
/// # Errors
/// If one of these files cannot be used.
pub(crate) async fn options(server: &NatsServer) -> io::Result<ConnectOptions> {
    let mut options = ConnectOptions::new().name("coroner-aggregator").connection_timeout(CONNECT_DEADLINE);
    if let Some(tls) = &server.tls {
        options = options.require_tls(true).tls_client_config(tls_config(tls)?);
    }
    if let Some(path) = &server.token_file {
        let token = std::fs::read_to_string(path).map_err(|error| unusable(path, &error))?;
        options = options.token(token.trim().to_owned());
    }
    if let Some(path) = &server.creds_file {
        options = options.credentials_file(path).await.map_err(|error| unusable(path, &error))?;
    }
    Ok(options)
}

fn unusable(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot use {}: {error}", path.display()))
}
