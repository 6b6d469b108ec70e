//! URLs of destinations, and their options.

use std::{collections::BTreeMap, path::PathBuf};

use url::Url;

/// Why a URL cannot be used: one line, without secrets.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(String);

impl InvalidUrl {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A host and port to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name or an address, without brackets.
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Host {
    pub(crate) fn of(url: &Url, default_port: u16) -> Result<Self, InvalidUrl> {
        let name =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| InvalidUrl::new("a host is missing"))?;
        let port = url.port_or_known_default().unwrap_or(default_port);
        Ok(Self { name: name.trim_matches(['[', ']']).into(), port })
    }

    /// The name as in a URL: IPv6 addresses in brackets.
    pub(crate) fn bracketed(&self) -> String {
        if self.name.contains(':') { format!("[{}]", self.name) } else { self.name.clone() }
    }

    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// Whether what goes there does not leave this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.name == "localhost" || self.name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// What follows the question mark. Each option is taken once; what is left over is an error.
#[derive(Debug)]
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    /// The URL without its options, and the options.
    pub(crate) fn of(text: &str) -> Result<(Url, Self), InvalidUrl> {
        let url = Url::parse(text).map_err(|error| InvalidUrl::new(format!("it is no URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::new("secrets do not belong on a command line; give a file that holds them"));
        }
        if url.fragment().is_some() {
            return Err(InvalidUrl::new("# has no meaning here; write %23"));
        }
        let mut options = BTreeMap::new();
        for (key, value) in url.query_pairs() {
            if options.insert(key.to_string(), value.into_owned()).is_some() {
                return Err(InvalidUrl::new(format!("option {key} is given twice")));
            }
        }
        Ok((url, Self(options)))
    }

    /// Takes the option of this name; `None` if it is not given.
    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// A flag: `?insecure` or `?insecure=true`.
    pub(crate) fn flag(&mut self, key: &str) -> Result<bool, InvalidUrl> {
        match self.take(key).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(InvalidUrl::new(format!("{key}={other} is neither true nor false"))),
        }
    }

    /// Takes an option that is the path of a file.
    pub(crate) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.take(key).map(Into::into)
    }

    /// Fails if an option was not taken: it is not known.
    pub(crate) fn finish(self) -> Result<(), InvalidUrl> {
        match self.0.into_keys().next() {
            Some(key) => Err(InvalidUrl::new(format!("option {key} is not known here"))),
            None => Ok(()),
        }
    }
}
