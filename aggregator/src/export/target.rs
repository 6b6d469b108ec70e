//! `--export URL`: where to, as what, and how, read from one line.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use coroner_proto::v1::{DiagnosisFilter, Severity};
use url::Url;

/// Where one exporter carries records, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Names the exporter in logs and its files. Its cursor goes with it.
    pub name: String,
    /// The URL, without the options.
    pub shown: String,
    /// Where to begin if it has no cursor yet.
    pub start: Start,
    /// Which diagnoses. Gaps are always told.
    pub filter: Filter,
    pub(super) destination: Destination,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is kept.
    Oldest,
    /// With what comes from now on.
    Now,
}

/// Which diagnoses to carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these; all if there are none.
    pub namespaces: Vec<String>,
    /// At least so loud.
    pub min_severity: Severity,
}

impl Filter {
    pub(super) fn include(self) -> Vec<DiagnosisFilter> {
        let Self { namespaces, min_severity } = self;
        vec![DiagnosisFilter { namespaces, min_severity: min_severity.into(), ..DiagnosisFilter::default() }]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Lines(Lines),
    Otlp(Otlp),
}

/// Lines in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// None for stdout.
    pub(super) path: Option<PathBuf>,
    pub(super) format: Format,
}

/// An OTLP/gRPC receiver of logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Otlp {
    /// As gRPC has it: http or https.
    pub(super) url: String,
    pub(super) tls: Option<Tls>,
    pub(super) header_file: Option<PathBuf>,
}

/// What a record is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Native,
}

/// The files of a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// Authorities that are trusted; those of the system if there is none.
    pub(super) ca: Option<PathBuf>,
    /// Certificate and key to show.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// Why a target cannot be understood: one line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(String);

impl Wrong {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl FromStr for Target {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let url = Url::parse(text).map_err(|error| Wrong(format!("it is no URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong::new("secrets do not belong on a command line; give a file that holds them"));
        }
        if url.fragment().is_some() {
            return Err(Wrong::new("# has no meaning here; write %23"));
        }
        let mut options = Options::of(&url)?;
        let destination = destination(&url, &mut options)?;
        let mut shown = url.clone();
        shown.set_query(None);
        let target = Self {
            name: options.take("name").map_or_else(|| Ok(default_name(&shown)), check_name)?,
            shown: shown.into(),
            start: match options.take("start").as_deref() {
                None | Some("oldest") => Start::Oldest,
                Some("now") => Start::Now,
                Some(other) => return Err(Wrong(format!("start={other} is neither oldest nor now"))),
            },
            filter: Filter {
                namespaces: options
                    .take("namespaces")
                    .map_or_else(Vec::new, |list| list.split(',').map(Into::into).collect()),
                min_severity: options.take("min-severity").map_or(Ok(Severity::Unspecified), |word| severity(&word))?,
            },
            destination,
        };
        options.finish()?;
        Ok(target)
    }
}

fn destination(url: &Url, options: &mut Options) -> Result<Destination, Wrong> {
    match url.scheme() {
        "file" => {
            let path = url
                .to_file_path()
                .map_err(|()| Wrong::new("give an absolute path, as file:///var/log/coroner.jsonl"))?;
            Ok(Destination::Lines(Lines { path: Some(path), format: options.format()? }))
        }
        "stdout" => Ok(Destination::Lines(Lines { path: None, format: options.format()? })),
        scheme @ ("otlp+http" | "otlp+https") => {
            let tls = options.tls(url, scheme == "otlp+https")?;
            let authority = authority(url, 4317)?;
            let http = scheme.trim_start_matches("otlp+");
            let url = format!("{http}://{authority}");
            Ok(Destination::Otlp(Otlp { url, tls, header_file: options.take("header-file").map(Into::into) }))
        }
        other => Err(Wrong(format!("{other}: is none of otlp+https, otlp+http, file, stdout"))),
    }
}

fn authority(url: &Url, default_port: u16) -> Result<String, Wrong> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| Wrong::new("a host is missing"))?;
    Ok(format!("{host}:{}", url.port_or_known_default().unwrap_or(default_port)))
}

/// Whether what goes there does not leave this machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
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

fn check_name(name: String) -> Result<String, Wrong> {
    let is_sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(is_sound) {
        return Err(Wrong(format!("name={name} is not of letters, digits, - _ . alone, or too long")));
    }
    Ok(name)
}

fn severity(word: &str) -> Result<Severity, Wrong> {
    match word {
        "info" => Ok(Severity::Info),
        "warning" => Ok(Severity::Warning),
        "error" => Ok(Severity::Error),
        "critical" => Ok(Severity::Critical),
        _ => Err(Wrong(format!("min-severity={word} is none of info, warning, error, critical"))),
    }
}

/// What follows the question mark. Each option is taken once; what is left over is an error.
struct Options(BTreeMap<String, String>);

impl Options {
    fn of(url: &Url) -> Result<Self, Wrong> {
        let mut options = BTreeMap::new();
        for (key, value) in url.query_pairs() {
            if options.insert(key.to_string(), value.into_owned()).is_some() {
                return Err(Wrong(format!("option {key} is given twice")));
            }
        }
        Ok(Self(options))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// A flag: `?insecure` or `?insecure=true`.
    fn flag(&mut self, key: &str) -> Result<bool, Wrong> {
        match self.take(key).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(Wrong(format!("{key}={other} is neither true nor false"))),
        }
    }

    fn format(&mut self) -> Result<Format, Wrong> {
        match self.take("format").as_deref() {
            None | Some("native") => Ok(Format::Native),
            Some(other) => Err(Wrong(format!("format={other} is none of native"))),
        }
    }

    fn tls(&mut self, url: &Url, wanted: bool) -> Result<Option<Tls>, Wrong> {
        let insecure = self.flag("insecure")?;
        let (ca, cert, key) = (self.take("ca"), self.take("cert"), self.take("key"));
        if !wanted {
            if ca.is_some() || cert.is_some() || key.is_some() {
                return Err(Wrong(format!("{}: is without TLS; ca, cert and key have no meaning", url.scheme())));
            }
            if !insecure && !is_loopback(url) {
                return Err(Wrong(format!(
                    "{}: to another machine is without TLS; say ?insecure if that is meant",
                    url.scheme()
                )));
            }
            return Ok(None);
        }
        if insecure {
            return Err(Wrong::new("insecure has no meaning with TLS"));
        }
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => return Err(Wrong::new("cert and key belong together")),
        };
        Ok(Some(Tls { ca: ca.map(Into::into), identity }))
    }

    fn finish(self) -> Result<(), Wrong> {
        match self.0.into_keys().next() {
            Some(key) => Err(Wrong(format!("option {key} is not known here"))),
            None => Ok(()),
        }
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
        assert_eq!(target("stdout:").name, "stdout");
        assert_eq!(target("otlp+http://[::1]").name, "otlp-http-1");
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line_and_without_the_secret() {
        for (text, part) in [
            ("", "no URL"),
            ("collector:4317x", "none of"),
            ("otlp+http://collector:4317", "without TLS"),
            ("otlp+http://127.0.0.1:4317?ca=/x", "without TLS"),
            ("otlp+https://h?cert=/x", "belong together"),
            ("otlp+https://user:hunter2@h", "secrets"),
            ("otlp+https://h?insecure", "no meaning"),
            ("otlp+https://", "host"),
            ("file://h/x", "absolute"),
            ("file:///x?format=xml", "format=xml"),
            ("file:///x?format=native&format=native", "twice"),
            ("file:///x?frmat=native", "frmat"),
            ("file:///x?name=../x", "name="),
            ("file:///x?start=later", "start="),
            ("file:///x?min-severity=loud", "min-severity="),
            ("file:///x#y", "%23"),
        ] {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(error.contains(part) && !error.contains('\n') && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
