//! Who sends a request.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// Who a caller is, once its credentials were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A client of a listener that requires no credentials.
    Local,
    /// The agent of this node.
    Agent(String),
    /// A reader who sees everything, by this name.
    Reader(String),
    /// A user of the API server, with the permissions that it grants.
    User(Arc<User>),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Agent(node) => write!(f, "node/{node}"),
            Self::Reader(name) => write!(f, "reader/{name}"),
            Self::User(user) => write!(f, "user/{}", user.name),
        }
    }
}

/// A user, as the API server knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// The user's name, as the API server states it.
    pub name: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of whom only the name is known.
    pub(super) fn authenticated(name: String) -> Self {
        Self { name, groups: vec!["system:authenticated".into()], ..Self::default() }
    }
}
