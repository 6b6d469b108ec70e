//! NATS JetStream. Each record is one message that the stream has acknowledged before the next one goes, so that no
//! failure can change their order; `Nats-Msg-Id` is the record's id, by which the stream recognises what comes twice.
//!
//! Uses JetStream's own protocol, a request to the subject that the stream answers: the client's layer above that
//! brings nothing more for publishing.

use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, HeaderMap, RequestErrorKind, header};
use coroner_diagnosis::messages::operation;
use serde_json::Value;

use super::{
    super::{format, item::Item, target},
    Refused, Remedy, Sink, Taken,
};
use crate::remote::nats;

/// For one record.
const ACKNOWLEDGE_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(in super::super) struct Nats {
    target: target::Nats,
    client: Option<Client>,
}

impl Nats {
    pub(in super::super) fn new(target: target::Nats) -> Self {
        Self { target, client: None }
    }

    async fn client(&mut self) -> Result<Client, Refused> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => Ok(self.client.insert(connect(&self.target).await?).clone()),
        }
    }

    async fn publish(&self, client: &Client, item: &Item) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_MESSAGE_ID, item.id.as_str());
        if let Some(stream) = &self.target.stream {
            headers.insert(header::NATS_EXPECTED_STREAM, stream.as_str());
        }
        let payload = format::line(item, self.target.format);
        let most = client.server_info().max_payload;
        if most > 0 && payload.len() > most {
            return Err(Refused::new(Remedy::Bisect, operation::export_too_large(payload.len() as u64, most as u64)));
        }
        let asked = client.request_with_headers(self.target.subject.clone(), headers, payload.into()).await;
        let answer = asked.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => {
                Refused::new(Remedy::Hold, operation::export_no_stream(&self.target.subject))
            }
            _ => Refused::failed(Remedy::RETRY, &error),
        })?;
        acknowledged(&answer.payload)
    }
}

/// The answer of a stream: `{"stream":…,"seq":…}`, or `{"error":{"code":…,"description":…}}`.
fn acknowledged(answer: &[u8]) -> Result<(), Refused> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    if answer.get("error").is_none() && answer.get("seq").is_some_and(Value::is_u64) {
        return Ok(());
    }
    let error = &answer["error"];
    let why = match error["description"].as_str() {
        Some(description) => operation::export_stream_refused(description),
        None => operation::export_stream_unclear(),
    };
    let remedy = match error["code"].as_u64() {
        // The message itself: too large for the stream.
        Some(400) if error["err_code"] == 10_054 => Remedy::Bisect,
        Some(400..500) => Remedy::Hold,
        _ => Remedy::RETRY,
    };
    Err(Refused::new(remedy, why))
}

impl Sink for Nats {
    async fn send(&mut self, batch: &[Item]) -> Result<Taken, Refused> {
        let client = self.client().await?;
        for (done, item) in batch.iter().enumerate() {
            if let Err(refused) = self.publish(&client, item).await {
                if refused.remedy != Remedy::Bisect {
                    // Nothing that this client may still hold back shall come later.
                    self.client = None;
                }
                return Err(Refused { done, ..refused });
            }
        }
        Ok(Taken::default())
    }
}

async fn connect(target: &target::Nats) -> Result<Client, Refused> {
    let options = nats::options(&target.server).await.map_err(|error| Refused::io(&error))?;
    let options = options.request_timeout(Some(ACKNOWLEDGE_DEADLINE)).max_reconnects(1);
    options.connect(target.server.host.authority()).await.map_err(|error| match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            Refused::failed(Remedy::Hold, &error)
        }
        _ => Refused::failed(Remedy::RETRY, &error),
    })
}
