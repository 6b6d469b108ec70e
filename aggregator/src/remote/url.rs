//! URLs of destinations, and their options.

use std::{collections::BTreeMap, path::PathBuf};

use coroner_runtime::problem::Problem;
use url::Url;

use crate::messages::{problem, url as messages};

/// A host and port to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name or an address, without brackets.
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Host {
    pub(crate) fn of(url: &Url, default_port: u16) -> Result<Self, Problem> {
        let name = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| problem(messages::url_no_host()))?;
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
    pub(crate) fn of(text: &str) -> Result<(Url, Self), Problem> {
        let url = Url::parse(text).map_err(|error| problem(messages::url_invalid(error.to_string())))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(problem(messages::url_secret()));
        }
        if url.fragment().is_some() {
            return Err(problem(messages::url_fragment()));
        }
        let mut options = BTreeMap::new();
        for (key, value) in url.query_pairs() {
            if options.insert(key.to_string(), value.into_owned()).is_some() {
                return Err(problem(messages::url_option_twice(&key)));
            }
        }
        Ok((url, Self(options)))
    }

    /// Takes the option of this name; `None` if it is not given.
    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// A flag: `?insecure` or `?insecure=true`.
    pub(crate) fn flag(&mut self, key: &str) -> Result<bool, Problem> {
        match self.take(key).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(problem(messages::url_choice(key, other, vec!["true", "false"]))),
        }
    }

    /// Takes an option that is the path of a file.
    pub(crate) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.take(key).map(Into::into)
    }

    /// Fails if an option was not taken: it is not known.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            Some(key) => Err(problem(messages::url_option_unknown(key))),
            None => Ok(()),
        }
    }
}
