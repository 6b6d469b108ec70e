//! The way to the aggregator.

mod files;
mod peer;
mod reason;

pub(crate) use self::reason::chain;

use std::{error::Error as _, net::IpAddr, path::PathBuf, time::Duration};

use coroner_diagnosis::messages::Message;
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use tonic::{
    Code, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri},
};

use crate::{
    args::AggregatorArgs,
    exit::Failure,
    messages::{command, english, notes},
};

/// A client of the aggregator's queries.
pub(crate) type Client = DiagnosisServiceClient<InterceptedService<Channel, Bearer>>;

/// To reach the aggregator at all.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// For one answer. Streams have their own watch on silence.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// A page of diagnoses of 16 KiB each fits.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Connects.
///
/// # Errors
/// A URL or TLS file that cannot be used, or no aggregator there.
pub(crate) async fn connect(args: &AggregatorArgs) -> Result<Client, Failure> {
    if let Some(path) = &args.token_file {
        files::token(path).map_err(Failure::usage)?;
    }
    let channel = match endpoint(args)?.connect().await {
        Ok(channel) => channel,
        Err(error) => {
            return Err(Failure::unavailable(match reason::of_handshake(args, &error) {
                Some(_) if peer::is_http(&args.url).await => notes::no_connection(&args.url, notes::reason_http()),
                Some(reason) => notes::no_connection(&args.url, reason),
                None => notes::no_aggregator(&args.url, reason::of_absence(&error)),
            }));
        }
    };
    let bearer = Bearer(args.token_file.clone());
    Ok(DiagnosisServiceClient::with_interceptor(channel, bearer).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// Sends a token with each call, read again since it may have been renewed.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<PathBuf>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(path) = &self.0 {
            let token = files::token(path).map_err(|message| Status::unauthenticated(english(&message)))?;
            request.metadata_mut().insert("authorization", token);
        }
        Ok(request)
    }
}

/// A request with the deadline of an answer.
pub(crate) fn request<M>(message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(ANSWER_DEADLINE);
    request
}

/// The failure for a status that the aggregator answered with.
pub(crate) fn refused(args: &AggregatorArgs, status: &Status) -> Failure {
    let url = &args.url;
    if let Some(reason) = reason::of_call(args, status) {
        return Failure::unavailable(notes::no_connection(url, reason));
    }
    let reason = if status.message().is_empty() { status.code().description() } else { status.message() };
    match status.code() {
        Code::InvalidArgument => Failure::usage(command::error_question(reason)),
        Code::Unauthenticated if args.token_file.is_some() => Failure::error(command::error_token_refused(url, reason)),
        Code::Unauthenticated if args.tls_cert.is_some() => {
            Failure::error(command::error_credentials_refused(url, "--tls-cert", reason))
        }
        Code::Unauthenticated => Failure::error(command::error_credentials(url)),
        // The answers of another server: its status is derived from one of HTTP, or it has no such service.
        _ if status.message().starts_with("grpc-status header missing") => {
            Failure::unavailable(notes::no_connection(url, notes::reason_http()))
        }
        Code::Unimplemented => Failure::unavailable(notes::no_connection(url, notes::reason_no_service())),
        Code::PermissionDenied => Failure::error(notes::not_allowed(url, reason)),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
            Failure::unavailable(command::error_no_answer(url, reason))
        }
        code => Failure::error(command::error_status(url, format!("{code:?}"), reason)),
    }
}

/// Why a stream broke.
pub(crate) fn interruption(status: &Status) -> Message {
    match (status.source(), status.message()) {
        (Some(_), _) => notes::connection_lost(),
        (None, "") => notes::reason_other(status.code().description()),
        (None, reason) => notes::reason_other(reason),
    }
}

fn endpoint(args: &AggregatorArgs) -> Result<Endpoint, Failure> {
    let AggregatorArgs { url, tls_ca, tls_cert, tls_key, token_file, insecure } = args;
    let unusable = |why: Message| Failure::usage(command::error_url(url, why));
    let endpoint = Endpoint::from_shared(url.clone())
        .map_err(|_| unusable(command::url_malformed()))?
        .connect_timeout(CONNECT_DEADLINE)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .user_agent(concat!("coroner/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| Failure::error(command::error_plain(reason::chain(&error))))?;
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "unix" => Ok(endpoint),
        "http" if is_loopback(endpoint.uri()) => Ok(endpoint),
        "http" if *insecure && token_file.is_some() => Err(unusable(command::url_token_in_clear())),
        "http" if *insecure => Ok(endpoint),
        "http" => Err(unusable(command::url_plain())),
        "https" => {
            let Some(ca) = tls_ca else { return Err(unusable(command::url_needs_ca())) };
            let mut tls =
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(files::certificates("--tls-ca", ca)?));
            tls = match (tls_cert, tls_key) {
                (Some(cert), Some(key)) => {
                    let certificate = files::certificates("--tls-cert", cert)?;
                    tls.identity(Identity::from_pem(certificate, files::key("--tls-key", key)?))
                }
                (None, None) => tls,
                _ => return Err(unusable(command::url_needs_both())),
            };
            endpoint.tls_config(tls).map_err(|error| Failure::usage(reason::of_setup(&error)))
        }
        _ => Err(unusable(command::url_scheme())),
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: &str, insecure: bool) -> AggregatorArgs {
        AggregatorArgs { url: url.to_owned(), tls_ca: None, tls_cert: None, tls_key: None, token_file: None, insecure }
    }

    #[test]
    fn a_token_does_not_travel_in_plain_text() {
        let with_token = |url, insecure| {
            endpoint(&AggregatorArgs { token_file: Some("token".into()), ..args(url, insecure) }).is_ok()
        };
        assert!(with_token("http://127.0.0.1:7070", false) && with_token("unix:///run/coroner.sock", false));
        assert!(!with_token("http://10.0.0.1:7070", true));
    }

    fn usable(url: &str, insecure: bool) -> bool {
        endpoint(&args(url, insecure)).is_ok()
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_insecure_is_set() {
        for url in ["http://127.0.0.1:7070", "http://[::1]:7070", "http://localhost:7070", "unix:///run/coroner.sock"] {
            assert!(usable(url, false), "{url}");
        }
        for url in ["http://10.0.0.1:7070", "http://127.0.0.1.example.com:1", "http://localhost.example.com:1"] {
            assert!(!usable(url, false), "{url}");
            assert!(usable(url, true), "{url}");
        }
        for url in ["https://aggregator:7070", "", "aggregator:7070", "ftp://127.0.0.1", "http://"] {
            assert!(!usable(url, false), "{url}");
        }
    }
}
