//! Where the stream is.

use std::{fmt, str::FromStr};

use coroner_runtime::problem::Problem;

use crate::{
    messages::{problem, url as messages},
    remote::{Options, nats::NatsServer},
};

/// Where the stream is: `nats+tls://HOST:PORT/NAME`, with options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) server: NatsServer,
    /// Of the stream; its buckets are called after it.
    pub(super) name: String,
    /// Copies of each record, of a stream that is yet to be made.
    pub(super) replicas: usize,
}

impl FromStr for Target {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (url, mut options) = Options::of(text)?;
        let with_tls = match url.scheme() {
            "nats" => false,
            "nats+tls" => true,
            other => return Err(problem(messages::url_scheme(other, vec!["nats+tls", "nats"]))),
        };
        let name = match url.path().trim_start_matches('/') {
            "" => "coroner".to_owned(),
            name if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') => name.to_owned(),
            name => {
                return Err(problem(messages::url_stream(name)));
            }
        };
        let server = NatsServer::of(&mut options, &url, with_tls)?;
        let replicas = options.take("replicas").map_or(Ok(1), |text| {
            let number = text.parse().ok().filter(|number| (1..=5).contains(number));
            number.ok_or_else(|| problem(messages::url_range("replicas", text, "1", "5")))
        })?;
        options.finish()?;
        Ok(Self { server, name, replicas })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {} at {}", self.name, self.server.host.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_its_url() {
        let target: Target = "nats://127.0.0.1:4223/deaths?replicas=3".parse().unwrap();
        assert_eq!(target.to_string(), "stream deaths at 127.0.0.1:4223");
        assert_eq!((target.replicas, "nats://[::1]".parse::<Target>().unwrap().name.as_str()), (3, "coroner"));
        for (wrong, part) in [
            ("nats://nats.example", "without TLS"),
            ("nats+tls://u:hunter2@h", "secrets"),
            ("nats://127.0.0.1/a.b", "no name"),
            ("nats://127.0.0.1?replicas=9", "replicas="),
            ("nats://127.0.0.1?subject=x", "subject"),
            ("otlp+http://127.0.0.1", "none of"),
        ] {
            let error = wrong.parse::<Target>().expect_err(wrong).to_string();
            assert!(error.contains(part) && !error.contains("hunter2"), "{wrong}: {error}");
        }
    }
}
