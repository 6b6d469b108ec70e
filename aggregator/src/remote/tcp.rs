//! Connections over TCP, with TLS or without.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{tls::Tls, url::Host};

const DEADLINE: Duration = Duration::from_secs(10);

/// A connection for bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects to what the name resolves to now, with the files as they are now.
pub(crate) async fn connect(host: &Host, tls: Option<&Tls>) -> io::Result<Box<dyn Duplex>> {
    let connecting = async {
        let stream = TcpStream::connect((host.name.as_str(), host.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = tls else { return Ok(Box::new(stream) as Box<dyn Duplex>) };
        let config = Arc::new(tls.config()?);
        let name = match host.name.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(host.name.clone()).map_err(io::Error::other)?,
        };
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Box::new(stream) as Box<dyn Duplex>)
    };
    timeout(DEADLINE, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
