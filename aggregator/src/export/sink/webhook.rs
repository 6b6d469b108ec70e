//! Batches as HTTP POST requests.

use std::{fmt, time::Duration};

use coroner_diagnosis::messages::operation;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;

use super::{
    super::{format, item::Item, target},
    Refused, Remedy, Sink, Taken, headers,
};
use crate::remote::tcp::connect;

/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 << 10;
/// Bytes of an answer that are quoted in a reason.
const REASON_BYTES: usize = 200;

pub(in super::super) struct Webhook {
    target: target::Webhook,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Webhook {
    pub(in super::super) fn new(target: target::Webhook) -> Self {
        Self { target, connection: None }
    }

    /// One request and the beginning of its answer's body.
    async fn post(&mut self, body: Vec<u8>) -> Result<(Response<()>, String), Refused> {
        let retry = |error: &hyper::Error| Refused::failed(Remedy::RETRY, error);
        let request = self.request(body)?;
        let mut connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => {
                let stream =
                    connect(&self.target.host, self.target.tls.as_ref()).await.map_err(|error| Refused::io(&error))?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| retry(&e))?;
                // It ends when the sender is dropped.
                tokio::spawn(connection);
                sender
            }
        };
        connection.ready().await.map_err(|e| retry(&e))?;
        let (head, body) = connection.send_request(request).await.map_err(|e| retry(&e))?.into_parts();
        let text = read(body).await;
        if text.is_some() {
            self.connection = Some(connection);
        }
        Ok((Response::from_parts(head, ()), text.unwrap_or_default()))
    }

    fn request(&self, body: Vec<u8>) -> Result<Request<Full<Bytes>>, Refused> {
        let target::Webhook { authority, path, header_file, body: kind, .. } = &self.target;
        let mut request = Request::post(path)
            .header(header::HOST, authority)
            .header(header::USER_AGENT, concat!("coroner/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, kind.media_type());
        let headers = header_file.as_deref().map_or_else(|| Ok(Vec::new()), headers::read);
        for (name, value) in headers.map_err(|error| Refused::new(Remedy::Hold, error))? {
            request = request.header(name, value);
        }
        // The error of a header does not repeat it.
        request.body(Full::new(body.into())).map_err(|error| Refused::failed(Remedy::Hold, &error))
    }
}

/// The text of an answer; none if it is too long, so that the connection cannot be used again.
async fn read(body: Incoming) -> Option<String> {
    let bytes = Limited::new(body, ANSWER_BYTES).collect().await.ok()?.to_bytes();
    Some(String::from_utf8_lossy(&bytes[..bytes.len().min(REASON_BYTES)]).into_owned())
}

impl Sink for Webhook {
    async fn send(&mut self, batch: &[Item]) -> Result<Taken, Refused> {
        let body = format::body(batch, &self.target.body);
        if body.is_empty() {
            return Ok(Taken::default());
        }
        let (answer, text) = self.post(body).await?;
        match remedy(&answer) {
            None => Ok(Taken::default()),
            Some(remedy) => {
                let status = answer.status().to_string();
                let why = match text.trim() {
                    "" => operation::export_http_status(status),
                    text => operation::export_http(status, text),
                };
                Err(Refused::new(remedy, why))
            }
        }
    }
}

/// `None` for a success.
fn remedy<B>(answer: &Response<B>) -> Option<Remedy> {
    let after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let after = after.map(Duration::from_secs);
    match answer.status() {
        status if status.is_success() => None,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Some(Remedy::Bisect)
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Some(Remedy::Retry { after })
        }
        status if status.is_server_error() => Some(Remedy::Retry { after }),
        // Redirections are not followed: the secret in a header is for this receiver alone.
        _ => Some(Remedy::Hold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_asks_for_what_it_means() {
        let of = |status: u16, after: Option<&str>| {
            let mut answer = Response::builder().status(status);
            if let Some(after) = after {
                answer = answer.header("Retry-After", after);
            }
            remedy(&answer.body(()).unwrap())
        };
        assert_eq!((of(200, None), of(204, None)), (None, None));
        assert_eq!(of(413, None), Some(Remedy::Bisect));
        assert_eq!(of(429, Some("7")), Some(Remedy::Retry { after: Some(Duration::from_secs(7)) }));
        assert_eq!(of(503, Some("Fri, 31 Dec 1999 23:59:59 GMT")), Some(Remedy::RETRY));
        for hold in [301, 401, 403, 404] {
            assert_eq!(of(hold, None), Some(Remedy::Hold));
        }
    }
}
