//! The way to the aggregator.

use std::{
    fmt::Display,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use tonic::{
    Code, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri},
};

use crate::{args::AggregatorArgs, exit::Failure};

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
/// A URL or TLS file that cannot be used, or nobody there.
pub(crate) async fn connect(args: &AggregatorArgs) -> Result<Client, Failure> {
    let channel = endpoint(args)?
        .connect()
        .await
        .map_err(|error| Failure::unavailable(format!("no aggregator at {}: {}", args.url, chain(&error))))?;
    let bearer = Bearer(args.token_file.clone());
    Ok(DiagnosisServiceClient::with_interceptor(channel, bearer).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// Shows a token with each call, read anew since it may have been renewed.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<PathBuf>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(path) = &self.0 {
            let cannot =
                |why: &dyn Display| Status::unauthenticated(format!("cannot use the token {}: {why}", path.display()));
            let token = fs::read_to_string(path).map_err(|error| cannot(&error))?;
            let mut value: AsciiMetadataValue =
                format!("Bearer {}", token.trim()).parse().map_err(|_| cannot(&"it holds more than a token"))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
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

/// What the aggregator's refusal means.
pub(crate) fn refused(args: &AggregatorArgs, status: &Status) -> Failure {
    let said = if status.message().is_empty() { status.code().description() } else { status.message() };
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
            Failure::unavailable(format!("the aggregator at {} does not answer: {said}", args.url))
        }
        Code::InvalidArgument => Failure::usage(format!("the aggregator refused the question: {said}")),
        Code::Unauthenticated => Failure::error(format!(
            "the aggregator at {} wants to know who asks (--token-file, or --tls-cert and --tls-key): {said}",
            args.url
        )),
        code => Failure::error(format!("the aggregator at {} answered {code:?}: {said}", args.url)),
    }
}

fn endpoint(args: &AggregatorArgs) -> Result<Endpoint, Failure> {
    let AggregatorArgs { url, tls_ca, tls_cert, tls_key, token_file, insecure } = args;
    let unusable = |why: &str| Failure::usage(format!("--aggregator {url}: {why}"));
    let endpoint = Endpoint::from_shared(url.clone())
        .map_err(|_| unusable("not a URL as http://HOST:PORT, https://HOST:PORT or unix:///PATH"))?
        .connect_timeout(CONNECT_DEADLINE)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .user_agent(concat!("coroner/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| Failure::error(chain(&error)))?;
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "unix" => Ok(endpoint),
        "http" if is_loopback(endpoint.uri()) => Ok(endpoint),
        "http" if *insecure && token_file.is_some() => {
            Err(unusable("anybody on the way could take the token of --token-file; https://"))
        }
        "http" if *insecure => Ok(endpoint),
        "http" => {
            Err(unusable("http:// beyond this machine can be read and changed on its way; https:// or --insecure"))
        }
        "https" => {
            let Some(ca) = tls_ca else { return Err(unusable("https:// needs --tls-ca")) };
            let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
            tls = match (tls_cert, tls_key) {
                (Some(cert), Some(key)) => tls.identity(Identity::from_pem(read(cert)?, read(key)?)),
                (None, None) => tls,
                _ => return Err(unusable("--tls-cert and --tls-key go together")),
            };
            endpoint.tls_config(tls).map_err(|error| Failure::usage(format!("TLS cannot be set up: {}", chain(&error))))
        }
        _ => Err(unusable("only http://, https:// and unix:// are known")),
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

/// An error with what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
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
    fn plain_http_stays_on_this_machine_unless_told() {
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
