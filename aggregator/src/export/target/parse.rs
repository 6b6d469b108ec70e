//! Reads the URL of `--export` and its options. An error is one line, and repeats no secret.

use std::str::FromStr;

use coroner_proto::v1::Severity;
use coroner_runtime::problem::Problem;
use jiff::SignedDuration;
use url::Url;

use super::{Body, Destination, Filter, Format, Layout, Lines, Nats, Otlp, Start, Syslog, Target, Webhook};
use crate::{
    messages::{problem, url as messages},
    remote::{Host, Options, Tls, nats::NatsServer},
};

impl FromStr for Target {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (url, mut options) = Options::of(text)?;
        let destination = destination(&url, &mut options)?;
        let mut shown = url.clone();
        shown.set_query(None);
        let target = Self {
            name: options.take("name").map_or_else(|| Ok(default_name(&shown)), check_name)?,
            shown: shown.into(),
            start: match options.take("start").as_deref() {
                None | Some("oldest") => Start::Oldest,
                Some("now") => Start::Now,
                Some(other) => return Err(problem(messages::url_choice("start", other, vec!["oldest", "now"]))),
            },
            filter: Filter {
                namespaces: options
                    .take("namespaces")
                    .map_or_else(Vec::new, |list| list.split(',').map(Into::into).collect()),
                min_severity: options
                    .take("min-severity")
                    .map_or_else(|| Ok(destination.min_severity()), |value| severity(&value))?,
            },
            destination,
        };
        options.finish()?;
        Ok(target)
    }
}

/// What a destination can be.
const SCHEMES: [&str; 15] = [
    "otlp+https",
    "otlp+http",
    "syslog+tls",
    "syslog+tcp",
    "https",
    "http",
    "alertmanager+https",
    "alertmanager+http",
    "splunk+https",
    "splunk+http",
    "nats+tls",
    "nats",
    "events",
    "file",
    "stdout",
];

fn destination(url: &Url, options: &mut Options) -> Result<Destination, Problem> {
    match url.scheme() {
        "file" => {
            let path = url.to_file_path().map_err(|()| problem(messages::url_file()))?;
            Ok(Destination::Lines(Lines { path: Some(path), format: format(options)? }))
        }
        "stdout" => Ok(Destination::Lines(Lines { path: None, format: format(options)? })),
        scheme @ ("otlp+http" | "otlp+https") => {
            let host = Host::of(url, 4317)?;
            let tls = Tls::of(options, url, &host, scheme == "otlp+https")?;
            check_path(url, &["", "/"])?;
            let http = scheme.trim_start_matches("otlp+");
            let url = format!("{http}://{}", host.authority());
            Ok(Destination::Otlp(Otlp { url, tls, header_file: options.path("header-file") }))
        }
        scheme @ ("syslog+tcp" | "syslog+tls") => {
            let with_tls = scheme == "syslog+tls";
            let host = Host::of(url, if with_tls { 6514 } else { 514 })?;
            check_path(url, &["", "/"])?;
            Ok(Destination::Syslog(Syslog {
                tls: Tls::of(options, url, &host, with_tls)?,
                host,
                layout: layout(options)?,
                confirm: match options.take("confirm").as_deref() {
                    None | Some("close") => true,
                    Some("none") => false,
                    Some(other) => return Err(problem(messages::url_choice("confirm", other, vec!["close", "none"]))),
                },
            }))
        }
        scheme @ ("http" | "https") => {
            let host = Host::of(url, 0)?;
            let lines = match options.take("body").as_deref() {
                None | Some("array") => false,
                Some("lines") => true,
                Some(other) => return Err(problem(messages::url_choice("body", other, vec!["array", "lines"]))),
            };
            let format = format(options)?;
            if format == Format::Cef && !lines {
                return Err(problem(messages::url_cef()));
            }
            let body = if lines { Body::Lines(format) } else { Body::Array(format) };
            Ok(Destination::Webhook(webhook(url, options, host, scheme == "https", url.path().into(), body)?))
        }
        scheme @ ("alertmanager+http" | "alertmanager+https") => {
            let host = Host::of(url, 9093)?;
            let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
            let body = Body::Alerts { hold: hold(options)? };
            let with_tls = scheme == "alertmanager+https";
            Ok(Destination::Webhook(webhook(url, options, host, with_tls, path, body)?))
        }
        scheme @ ("splunk+http" | "splunk+https") => {
            let host = Host::of(url, 8088)?;
            let path = match url.path() {
                "" | "/" => "/services/collector/event".to_owned(),
                path => path.to_owned(),
            };
            let body = Body::Splunk { index: options.take("index") };
            Ok(Destination::Webhook(webhook(url, options, host, scheme == "splunk+https", path, body)?))
        }
        "events" => Ok(Destination::Events),
        scheme @ ("nats" | "nats+tls") => {
            check_path(url, &["", "/"])?;
            let subject = options.take("subject").unwrap_or_else(|| "coroner.diagnoses".into());
            let is_sound = |token: &str| !token.is_empty() && !token.contains(['*', '>', ' ', '\t', '\r', '\n']);
            if !subject.split('.').all(is_sound) {
                return Err(problem(messages::url_subject(subject)));
            }
            Ok(Destination::Nats(Nats {
                server: NatsServer::of(options, url, scheme == "nats+tls")?,
                subject,
                stream: options.take("stream"),
                format: format(options)?,
            }))
        }
        other => Err(problem(messages::url_scheme(other, SCHEMES.to_vec()))),
    }
}

fn webhook(
    url: &Url,
    options: &mut Options,
    host: Host,
    with_tls: bool,
    path: String,
    body: Body,
) -> Result<Webhook, Problem> {
    Ok(Webhook {
        tls: Tls::of(options, url, &host, with_tls)?,
        // As in the URL: a port that is the scheme's own stays out.
        authority: url.port().map_or_else(|| host.bracketed(), |_| host.authority()),
        host,
        path,
        header_file: options.path("header-file"),
        body,
    })
}

/// How long an alert lasts, as 15m or 1h.
fn hold(options: &mut Options) -> Result<SignedDuration, Problem> {
    let Some(word) = options.take("hold") else { return Ok(SignedDuration::from_mins(15)) };
    let hold = word.parse().ok().filter(|hold| (SignedDuration::from_mins(1)..=MAX_HOLD).contains(hold));
    hold.ok_or_else(|| problem(messages::url_range("hold", word, "1m", "24h")))
}

/// The longest that an alert lasts.
const MAX_HOLD: SignedDuration = SignedDuration::from_hours(24);

fn check_path(url: &Url, allowed: &[&str]) -> Result<(), Problem> {
    if allowed.contains(&url.path()) {
        return Ok(());
    }
    Err(problem(messages::url_path(url.scheme(), url.path())))
}

/// The URL as a file name.
fn default_name(url: &Url) -> String {
    let name: String =
        url.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let parts: Vec<_> = name.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-").chars().take(MAX_NAME).collect()
}

/// Characters of a name, so that the names of its files are none too long.
const MAX_NAME: usize = 100;

fn check_name(name: String) -> Result<String, Problem> {
    let is_sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(is_sound) {
        return Err(problem(messages::url_name(name)));
    }
    Ok(name)
}

fn severity(value: &str) -> Result<Severity, Problem> {
    match value {
        "info" => Ok(Severity::Info),
        "warning" => Ok(Severity::Warning),
        "error" => Ok(Severity::Error),
        "critical" => Ok(Severity::Critical),
        _ => Err(problem(messages::url_choice("min-severity", value, vec!["info", "warning", "error", "critical"]))),
    }
}

fn format(options: &mut Options) -> Result<Format, Problem> {
    options.take("format").map_or(Ok(Format::Native), |value| value.parse())
}

fn layout(options: &mut Options) -> Result<Layout, Problem> {
    // 32473 is reserved for examples.
    let enterprise = options.take("enterprise").unwrap_or_else(|| "32473".into());
    if enterprise.is_empty() || enterprise.len() > 16 || !enterprise.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(problem(messages::url_enterprise(enterprise)));
    }
    let max_bytes = options.take("max-bytes").map_or(Ok(7168), |text| {
        let number = text.parse().ok().filter(|number| (480..=65_536).contains(number));
        number.ok_or_else(|| problem(messages::url_range("max-bytes", text, "480", "65536")))
    })?;
    let format = match options.take("format").as_deref() {
        None | Some("summary") => None,
        Some(value) => Some(value.parse()?),
    };
    Ok(Layout { facility: facility(options)?, enterprise, max_bytes, format })
}

fn facility(options: &mut Options) -> Result<u8, Problem> {
    let Some(value) = options.take("facility") else { return Ok(3) };
    let local = value.strip_prefix("local").and_then(|digit| digit.parse::<u8>().ok()).filter(|digit| *digit < 8);
    match (value.as_str(), local) {
        ("user", _) => Ok(1),
        ("daemon", _) => Ok(3),
        (_, Some(digit)) => Ok(16 + digit),
        _ => Err(problem(messages::url_choice("facility", value, vec!["daemon", "user", "local0…local7"]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn each_kind_is_read_with_its_options() {
        let otlp = target(
            "otlp+https://collector.example:4317?ca=/etc/ca.crt&cert=/c&key=/k&min-severity=error&namespaces=a,b",
        );
        assert_eq!(otlp.name, "otlp-https-collector.example-4317");
        assert_eq!(otlp.shown, "otlp+https://collector.example:4317");
        assert_eq!(otlp.filter, Filter { namespaces: vec!["a".into(), "b".into()], min_severity: Severity::Error });
        let Destination::Otlp(otlp) = otlp.destination else { panic!() };
        assert_eq!(otlp.url, "https://collector.example:4317");
        assert_eq!(otlp.tls.unwrap().ca, Some("/etc/ca.crt".into()));

        let file = target("file:///var/log/a%20b.jsonl?name=siem&start=now");
        assert_eq!((file.name.as_str(), file.start), ("siem", Start::Now));
        assert_eq!(
            file.destination,
            Destination::Lines(Lines { path: Some("/var/log/a b.jsonl".into()), format: Format::Native })
        );
        let Destination::Syslog(syslog) = target("syslog+tls://siem?format=cef&facility=local3").destination else {
            panic!()
        };
        assert_eq!(syslog.host, Host { name: "siem".into(), port: 6514 });
        assert_eq!((syslog.layout.facility, syslog.layout.format, syslog.confirm), (19, Some(Format::Cef), true));
        let Destination::Webhook(webhook) = target("https://h/in?body=lines&header-file=/etc/h").destination else {
            panic!()
        };
        assert_eq!((webhook.host.port, webhook.authority.as_str(), webhook.path.as_str()), (443, "h", "/in"));
        let alerts = target("alertmanager+https://am/prefix?hold=1h");
        assert_eq!(alerts.filter.min_severity, Severity::Warning);
        let Destination::Webhook(alerts) = alerts.destination else { panic!() };
        assert_eq!((alerts.host.port, alerts.path.as_str()), (9093, "/prefix/api/v2/alerts"));
        assert_eq!(alerts.body, Body::Alerts { hold: SignedDuration::from_hours(1) });
        let Destination::Webhook(splunk) = target("splunk+https://hec?index=ops").destination else { panic!() };
        assert_eq!((splunk.host.port, splunk.path.as_str()), (8088, "/services/collector/event"));
        assert_eq!(splunk.body, Body::Splunk { index: Some("ops".into()) });
        assert_eq!(target("events:").destination, Destination::Events);
        let Destination::Nats(nats) = target("nats://[::1]").destination else { panic!() };
        assert_eq!((nats.server.host.bracketed().as_str(), nats.subject.as_str()), ("[::1]", "coroner.diagnoses"));
        assert_eq!(target("stdout:").name, "stdout");
        assert_eq!(target("otlp+http://[::1]").name, "otlp-http-1");
    }

    #[test]
    fn an_error_is_one_line_without_the_secret() {
        for (text, part) in [
            ("", "no URL"),
            ("collector:4317x", "none of"),
            ("otlp+http://collector:4317", "without TLS"),
            ("otlp+http://127.0.0.1:4317?ca=/x", "without TLS"),
            ("otlp+https://h?cert=/x", "belong together"),
            ("otlp+https://user:hunter2@h", "secrets"),
            ("otlp+https://h?insecure", "no meaning"),
            ("otlp+https://", "host"),
            ("otlp+https://h/v1/logs", "path"),
            ("syslog+tcp://siem", "without TLS"),
            ("syslog+tls://siem?max-bytes=10", "max-bytes"),
            ("syslog+tls://siem?facility=kern", "facility="),
            ("syslog+tls://siem?enterprise=x]", "enterprise="),
            ("syslog+tls://siem?confirm=maybe", "confirm="),
            ("https://h?format=cef", "body=lines"),
            ("http://h", "without TLS"),
            ("nats://127.0.0.1?subject=a..b", "subject="),
            ("nats://127.0.0.1?subject=a.>", "subject="),
            ("file://h/x", "absolute"),
            ("file:///x?format=xml", "format=xml"),
            ("file:///x?format=native&format=native", "twice"),
            ("file:///x?frmat=native", "frmat"),
            ("file:///x?name=../x", "name="),
            ("file:///x?start=later", "start="),
            ("file:///x?min-severity=high", "min-severity="),
            ("file:///x#y", "%23"),
            ("alertmanager+https://am?hold=1s", "hold="),
            ("alertmanager+http://am", "without TLS"),
            ("splunk+https://hec?format=ecs", "not known"),
        ] {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(error.contains(part) && !error.contains('\n') && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
