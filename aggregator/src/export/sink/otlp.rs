//! OTLP/gRPC logs.
//!
//! What a status means follows the table in docs/exporters.md. It deviates from the OTLP specification where that would
//! lose records: `INTERNAL` and `UNKNOWN` are retried (Vector answers the former for temporary failures), and a
//! receiver that refuses this client as such makes the exporter hold the records, not discard them.

use std::time::Duration;

use coroner_diagnosis::messages::{Message, operation};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, logs_service_client::LogsServiceClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::Channel,
};
use tonic_types::StatusExt;

use super::{
    super::{format, item::Item, target},
    Refused, Rejected, Remedy, Sink, Taken, headers,
    proxied::Proxied,
};
use crate::remote::grpc;

/// Shorter than the runner's, so that the status shows what was slow.
const CALL_DEADLINE: Duration = Duration::from_secs(25);

#[derive(Debug)]
pub(in super::super) struct Otlp {
    target: target::Otlp,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    client: LogsServiceClient<Proxied<Channel>>,
    metadata: MetadataMap,
}

impl Otlp {
    pub(in super::super) fn new(target: target::Otlp) -> Self {
        Self { target, connection: None }
    }

    async fn try_send(connection: &mut Connection, batch: &[Item]) -> Result<Option<ExportLogsPartialSuccess>, Status> {
        let mut request = Request::new(format::otlp::request(batch));
        *request.metadata_mut() = connection.metadata.clone();
        request.set_timeout(CALL_DEADLINE);
        Ok(connection.client.export(request).await?.into_inner().partial_success)
    }
}

impl Sink for Otlp {
    async fn send(&mut self, batch: &[Item]) -> Result<Taken, Refused> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.target)?),
        };
        match Self::try_send(connection, batch).await {
            Ok(Some(partial)) if partial.rejected_log_records > 0 => {
                let ExportLogsPartialSuccess { rejected_log_records: count, error_message } = partial;
                let count = usize::try_from(count).unwrap_or(batch.len()).min(batch.len());
                let why = operation::export_rejected(count, batch.len(), error_message);
                Ok(Taken { rejected: Some(Rejected { count, why: why.into() }) })
            }
            Ok(_) => Ok(Taken::default()),
            Err(status) => {
                let remedy = remedy(&status, batch.len() == 1);
                if remedy != Remedy::Bisect {
                    // Another connection, to what the name resolves to then, with the files as they are then.
                    self.connection = None;
                }
                Err(Refused::new(remedy, describe(&status)))
            }
        }
    }
}

fn remedy(status: &Status, alone: bool) -> Remedy {
    let after = status.get_details_retry_info().map(|info| info.retry_delay.unwrap_or_default());
    match status.code() {
        // Servers of tonic answer OutOfRange to a message that is too large, Vector's DataLoss to what it will never
        // deliver.
        Code::InvalidArgument | Code::OutOfRange | Code::DataLoss => Remedy::Bisect,
        // Those of grpc-go answer this to a message that is too large; no single record is, so then it is a quota.
        Code::ResourceExhausted if after.is_none() && !alone => Remedy::Bisect,
        Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::AlreadyExists => Remedy::Hold,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => Remedy::Retry { after },
    }
}

/// A connection that is made when it is first used.
fn connect(target: &target::Otlp) -> Result<Connection, Refused> {
    let channel = grpc::channel(&target.url, target.tls.as_ref(), CALL_DEADLINE);
    let channel = channel.map_err(|error| Refused { remedy: Remedy::Hold, ..Refused::io(&error) })?;
    let metadata = target.header_file.as_deref().map_or_else(|| Ok(MetadataMap::new()), metadata);
    let metadata = metadata.map_err(|why| Refused::new(Remedy::Hold, why))?;
    Ok(Connection { client: LogsServiceClient::new(Proxied(channel)), metadata })
}

/// Of a file of lines `name: value`. No error contains their values.
fn metadata(path: &std::path::Path) -> Result<MetadataMap, Message> {
    let mut metadata = MetadataMap::new();
    for (name, value) in headers::read(path)? {
        let wrong = || operation::export_not_a_header(path.display().to_string());
        let key = AsciiMetadataKey::from_bytes(name.to_lowercase().as_bytes()).map_err(|_| wrong())?;
        let mut value = AsciiMetadataValue::try_from(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        metadata.append(key, value);
    }
    Ok(metadata)
}

/// The status and its sources.
fn describe(status: &Status) -> Message {
    let code = format!("{:?}", status.code());
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if text.is_empty() {
            text = cause_text;
        } else if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    if text.is_empty() { operation::export_grpc_code(code) } else { operation::export_grpc(code, text) }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_quota_asks_for_patience_and_a_size_for_bisection() {
        let size = Status::resource_exhausted("message larger than max");
        assert_eq!(remedy(&size, false), Remedy::Bisect);
        assert_eq!(remedy(&size, true), Remedy::RETRY);
        let wait = Some(Duration::from_secs(7));
        let quota = Status::with_error_details(Code::ResourceExhausted, "", ErrorDetails::with_retry_info(wait));
        assert_eq!(remedy(&quota, false), Remedy::Retry { after: wait });
    }
}
