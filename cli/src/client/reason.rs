//! Why the aggregator cannot be reached, and which flag helps: from the chain of errors behind a failed connection or
//! call.

use std::{error::Error, io};

use coroner_diagnosis::messages::Message;
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, InvalidMessage};
use tonic::{Code, Status};

use crate::{
    args::AggregatorArgs,
    messages::{command, notes},
};

/// Why nothing listens at the URL, as far as that is known.
pub(super) fn of_absence(error: &(dyn Error + 'static)) -> Message {
    let kind = Chain(Some(error)).find_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()));
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => notes::reason_refused(),
        Some(io::ErrorKind::NotFound) => notes::reason_no_socket(),
        Some(io::ErrorKind::TimedOut) => notes::reason_timeout(),
        _ => notes::reason_other(chain(error)),
    }
}

/// What is wrong with the files of TLS.
pub(super) fn of_setup(error: &(dyn Error + 'static)) -> Message {
    let mut errors = Chain(Some(error)).filter_map(|error| error.downcast_ref::<rustls::Error>());
    match errors.next() {
        Some(rustls::Error::InconsistentKeys(_)) => command::error_tls_pair(),
        _ => command::error_tls(chain(error)),
    }
}

/// Why the connection ended under a call; `None` if the aggregator itself refused the call. As far as a client can see,
/// its certificate is refused after the handshake, so the connection fails with the first call.
pub(super) fn of_call(args: &AggregatorArgs, status: &Status) -> Option<Message> {
    // A status from the aggregator has no source: it was made from an answer.
    let error = status.source()?;
    let is_broken = matches!(status.code(), Code::Unknown | Code::Internal | Code::Unavailable);
    of_handshake(args, error).or_else(|| is_broken.then(|| closed(args)))
}

/// Why the peer and this program do not agree on a connection; `None` if that is not the error.
pub(super) fn of_handshake(args: &AggregatorArgs, error: &(dyn Error + 'static)) -> Option<Message> {
    let errors = || Chain(Some(error));
    if let Some(tls) = errors().find_map(|error| error.downcast_ref::<rustls::Error>()) {
        return Some(of_tls(tls));
    }
    let kind = errors().find_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()));
    let is_closed =
        matches!(kind, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof));
    // hyper reports no more than this of a connection that the peer has closed, or on which it uses another protocol.
    let ended = ["operation was canceled", "connection closed", "http2 error"];
    let is_ended = || errors().map(ToString::to_string).any(|text| ended.iter().any(|ended| text.contains(ended)));
    (is_closed || kind.is_none() && is_ended()).then(|| closed(args))
}

fn closed(args: &AggregatorArgs) -> Message {
    match (args.url.starts_with("https:"), &args.tls_cert) {
        (true, Some(_)) => notes::reason_closed_with_certificate(),
        (true, None) => notes::reason_closed_tls(),
        (false, _) => notes::reason_closed_plain(),
    }
}

fn of_tls(error: &rustls::Error) -> Message {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            notes::reason_unknown_ca()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => notes::reason_wrong_name(),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => notes::reason_expired(),
        rustls::Error::InvalidCertificate(reason) => notes::reason_certificate(format!("{reason:?}")),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure) => {
            notes::reason_client_certificate_wanted()
        }
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError
            | AlertDescription::UnknownCA),
        ) => notes::reason_client_certificate_refused(format!("{alert:?}")),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => notes::reason_http(),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => notes::reason_no_tls(),
        error => notes::reason_other(error.to_string()),
    }
}

/// An error and what caused it, what an `io::Error` wraps included.
struct Chain<'a>(Option<&'a (dyn Error + 'static)>);

impl<'a> Iterator for Chain<'a> {
    type Item = &'a (dyn Error + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        let error = self.0?;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        self.0 = wrapped.map(|error| error as &(dyn Error + 'static)).or_else(|| error.source());
        Some(error)
    }
}

/// An error with what caused it, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for inner in Chain(Some(error)).map(ToString::to_string) {
        if text.is_empty() {
            text = inner;
        } else if !text.ends_with(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
    }
    text
}
