//! Connections of gRPC.

use std::{io, path::Path, time::Duration};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::{file::UnusableFile, tls::Tls};

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// A silent connection is asked whether it is alive so often,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// and has so long to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A channel to `http://` or `https://HOST:PORT` that connects when it is first used, with the files as they are now.
///
/// # Errors
/// What an operator has to put right.
pub(crate) fn channel(url: &str, tls: Option<&Tls>, call_deadline: Duration) -> io::Result<Channel> {
    let mut endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(io::Error::other)?
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(call_deadline)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    if let Some(Tls { ca, identity }) = tls {
        let mut config = match ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some((certificate, key)) = identity {
            config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        endpoint = endpoint.tls_config(config).map_err(io::Error::other)?;
    }
    Ok(endpoint.connect_lazy())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| UnusableFile::failed(path, error))
}
