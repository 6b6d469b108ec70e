//! Syslog over TCP and TLS, with octet counting (RFC 6587, RFC 5425).
//!
//! Syslog has no acknowledgement. Each batch goes over a connection of its own, which is closed behind it in this
//! direction only: a receiver closes the other direction when it has read to the end, which counts as its
//! acknowledgement. What it does with what it has read is not known.

use std::{io, time::Duration};

use coroner_diagnosis::messages::operation;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    super::{format, item::Item, target},
    Refused, Remedy, Sink, Taken,
};
use crate::remote::tcp::connect;

/// How long a receiver may take to read a batch to its end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(in super::super) struct Syslog {
    target: target::Syslog,
}

impl Syslog {
    pub(in super::super) fn new(target: target::Syslog) -> Self {
        Self { target }
    }

    async fn try_send(&self, batch: &[Item]) -> Result<(), Refused> {
        let mut frames = Vec::new();
        for item in batch {
            let frame = format::rfc5424::frame(item, &self.target.layout);
            frames.extend_from_slice(format!("{} ", frame.len()).as_bytes());
            frames.extend_from_slice(&frame);
        }
        let mut stream =
            connect(&self.target.host, self.target.tls.as_ref()).await.map_err(|error| Refused::io(&error))?;
        let written = async {
            stream.write_all(&frames).await?;
            stream.shutdown().await
        };
        written.await.map_err(|error| Refused::io(&error))?;
        if !self.target.confirm {
            return Ok(());
        }
        match timeout(CLOSE_DEADLINE, closed(&mut stream)).await {
            Ok(closed) => closed.map_err(|error| Refused::io(&error)),
            Err(_) => Err(Refused::new(Remedy::RETRY, operation::export_not_read())),
        }
    }
}

/// Waits for the end of what the other side sends, which means nothing.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> io::Result<()> {
    let mut ignored = [0; 512];
    loop {
        match stream.read(&mut ignored).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Many close TLS without announcing it; a connection that was cut is another error.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

impl Sink for Syslog {
    async fn send(&mut self, batch: &[Item]) -> Result<Taken, Refused> {
        self.try_send(batch).await.map(|()| Taken::default())
    }
}
