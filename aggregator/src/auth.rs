//! Who may speak: agents for their own node, readers of what they may see.
//!
//! Where a listener asks for no credentials (a unix socket, loopback, `--insecure`) everybody there may do everything. Behind TLS
//! a caller is known by its certificate, or by a token that the API server reviews. Without an answer of the API server nobody
//! new is let in, and what it said before holds for a short time only.

mod certificate;
mod door;
mod refusals;
mod review;
mod share;

use std::{fmt, sync::Arc};

pub use certificate::{NoRole, Role};
pub use door::Door;
pub use refusals::{Reason, Refusals};
pub use review::{Accounts, User};
pub use share::StreamSlot;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::{Extensions, Status, codegen::http::HeaderMap};

use crate::{gate::busy, wire::Peer};
use review::{Resource, Review, Unavailable};
use share::{Share, Shares};

/// What a connection has shown of itself.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The listener asks for none.
    NotAsked,
    /// None yet: a request may bring a token.
    None,
    /// A certificate that the client CA vouches for, with its role.
    Certificate(Result<Role, NoRole>),
}

impl Credentials {
    /// What a certificate shows that was verified.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        Self::Certificate(certificate::role(certificate))
    }
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Whoever can reach a listener that asks for no credentials.
    Local,
    /// The agent of this node.
    Agent(String),
    /// A reader who sees everything, by this name.
    Reader(String),
    /// Somebody whom the API server knows, and who sees what it allows.
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

/// Decides who may do what.
#[derive(Debug)]
pub struct Authority {
    review: Option<Review>,
    refusals: Arc<Refusals>,
    shares: Shares,
}

impl Authority {
    /// Decides with the help of an API server, or without one by certificates alone.
    pub fn new(client: Option<kube::Client>, accounts: Accounts, refusals: Arc<Refusals>) -> Self {
        let review = client.map(|client| Review::new(client, accounts));
        Self { review, refusals, shares: Shares::default() }
    }

    /// Whether tokens can be reviewed.
    pub fn reviews_tokens(&self) -> bool {
        self.review.is_some()
    }

    /// What was refused so far.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Who it is that sends a request with these headers on this connection.
    async fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Identity, Status> {
        let refuse = |reason, status| Err(self.refuse(reason, &peer.address, status));
        let no_role = match &peer.credentials {
            Credentials::NotAsked => return Ok(Identity::Local),
            Credentials::Certificate(Ok(Role::Node(node))) => return Ok(Identity::Agent(node.clone())),
            Credentials::Certificate(Ok(Role::Reader(name))) => return Ok(Identity::Reader(name.clone())),
            Credentials::Certificate(Ok(Role::User(name))) => {
                return Ok(Identity::User(Arc::new(User::authenticated(name.clone()))));
            }
            Credentials::Certificate(Err(no_role)) => Some(no_role),
            Credentials::None => None,
        };
        match (bearer(headers), &self.review) {
            (Ok(Some(token)), Some(review)) => match review.token(token).await {
                Ok(Ok(identity)) => Ok(identity),
                Ok(Err(refusal)) => refuse(Reason::Token, refusal.status()),
                Err(unavailable) => refuse(Reason::Unavailable, unavailable.into()),
            },
            (Ok(Some(_)), None) => {
                refuse(Reason::Token, Status::unauthenticated("tokens are not taken here: there is no API server"))
            }
            (Err(_malformed), _) => {
                refuse(Reason::Token, Status::unauthenticated("the authorization is no bearer token"))
            }
            (Ok(None), _) => match no_role {
                Some(no_role) => refuse(Reason::Certificate, Status::permission_denied(no_role.to_string())),
                None => refuse(Reason::Nothing, Status::unauthenticated("show a client certificate or a bearer token")),
            },
        }
    }

    /// Counts a refusal, and says so in the log.
    fn refuse(&self, reason: Reason, who: &dyn fmt::Display, status: Status) -> Status {
        self.refusals.count(reason, who, status.message());
        status
    }

    async fn allows(&self, user: &Arc<User>, resource: Resource) -> Result<bool, Status> {
        // Without an API server nobody can say what a user may see.
        let Some(review) = &self.review else { return Ok(false) };
        let allowed = review.allows(user, resource).await;
        allowed.map_err(|unavailable| self.refuse(Reason::Unavailable, &user.name, unavailable.into()))
    }
}

impl From<Unavailable> for Status {
    fn from(error: Unavailable) -> Self {
        busy(error.to_string())
    }
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    let Some(value) = headers.get("authorization") else { return Ok(None) };
    let (scheme, token) = value.to_str().map_err(drop)?.split_once(' ').ok_or(())?;
    let is_token =
        scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    is_token.then_some(Some(token)).ok_or(())
}

/// Who sent a request, as the services see it.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Identity,
    authority: Arc<Authority>,
    share: Arc<Share>,
}

impl Caller {
    /// The caller of a request. Fails closed: a request that came past the [`Door`] has none.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub fn of(extensions: &Extensions) -> Result<Self, Status> {
        extensions.get().cloned().ok_or_else(|| Status::unauthenticated("nobody knows who asks"))
    }

    /// Whether it may push for this node.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn speaks_for(&self, node: &str) -> Result<(), Status> {
        let refuse = |text| Err(self.authority.refuse(Reason::Node, &self.identity, Status::permission_denied(text)));
        match &self.identity {
            Identity::Local => Ok(()),
            Identity::Agent(own) if own == node => Ok(()),
            Identity::Agent(own) => refuse(format!("this agent speaks for node {own} alone")),
            Identity::Reader(_) | Identity::User(_) => refuse("only agents push".to_owned()),
        }
    }

    /// The one node that its records may be about; none for any.
    pub fn node(&self) -> Option<&str> {
        match &self.identity {
            Identity::Agent(node) => Some(node),
            Identity::Local | Identity::Reader(_) | Identity::User(_) => None,
        }
    }

    /// What it may read.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for agents, which only push.
    pub fn reader(&self) -> Result<Reader, Status> {
        match &self.identity {
            Identity::Local | Identity::Reader(_) => Ok(Reader(None)),
            Identity::User(user) => Ok(Reader(Some((Arc::clone(user), Arc::clone(&self.authority))))),
            Identity::Agent(_) => {
                let status = Status::permission_denied("agents push, and do not read");
                Err(self.authority.refuse(Reason::Reader, &self.identity, status))
            }
        }
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` if it has as many as one may have.
    pub fn stream_slot(&self) -> Result<StreamSlot, Status> {
        let slot = Arc::clone(&self.share).stream();
        slot.map_err(|status| self.authority.refuse(Reason::Share, &self.identity, status))
    }
}

/// What somebody may read. Asked anew for each look into the ledger, so that what is taken away from a reader is taken away
/// from its open streams too, as soon as the API server's answer has grown old.
#[derive(Clone, Debug)]
pub struct Reader(Option<(Arc<User>, Arc<Authority>)>);

impl Reader {
    /// Whether it sees all namespaces and nodes.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the API server does not say.
    pub async fn sees_everything(&self) -> Result<bool, Status> {
        Ok(match &self.0 {
            None => true,
            Some((user, authority)) => {
                authority.allows(user, Resource::AllPods).await? && authority.allows(user, Resource::Nodes).await?
            }
        })
    }

    /// Whether it sees what is about this namespace; about nodes, for none.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the API server does not say.
    pub async fn sees(&self, namespace: &str) -> Result<bool, Status> {
        let Some((user, authority)) = &self.0 else { return Ok(true) };
        if namespace.is_empty() {
            return authority.allows(user, Resource::Nodes).await;
        }
        Ok(authority.allows(user, Resource::AllPods).await?
            || authority.allows(user, Resource::PodsOf(namespace.into())).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(tonic::codegen::http::header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    fn peer(credentials: Credentials) -> Peer {
        Peer::new(crate::wire::Address::Unix, credentials)
    }

    async fn identify(credentials: Credentials, headers: &HeaderMap) -> Result<Identity, tonic::Code> {
        let authority = Authority::new(None, Accounts::default(), Arc::default());
        authority.identify(&peer(credentials), headers).await.map_err(|status| status.code())
    }

    #[test]
    fn only_bearer_tokens_are_tokens() {
        assert_eq!(bearer(&HeaderMap::new()), Ok(None));
        assert_eq!(bearer(&headers("Bearer a.b.c")), Ok(Some("a.b.c")));
        assert_eq!(bearer(&headers("bearer a")), Ok(Some("a")));
        for wrong in ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer  a"] {
            assert_eq!(bearer(&headers(wrong)), Err(()), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_connection_is_known_by_its_certificate_or_not_at_all() {
        let none = HeaderMap::new();
        let agent = Credentials::Certificate(Ok(Role::Node("n1".into())));
        assert_eq!(identify(agent, &none).await, Ok(Identity::Agent("n1".into())));
        assert_eq!(identify(Credentials::NotAsked, &none).await, Ok(Identity::Local));
        assert_eq!(identify(Credentials::None, &none).await, Err(tonic::Code::Unauthenticated));
        assert_eq!(identify(Credentials::None, &headers("Bearer a")).await, Err(tonic::Code::Unauthenticated));
        let stranger = Credentials::Certificate(Err(NoRole::None));
        assert_eq!(identify(stranger, &none).await, Err(tonic::Code::PermissionDenied));
    }

    fn caller(identity: Identity) -> Caller {
        let authority = Arc::new(Authority::new(None, Accounts::default(), Arc::default()));
        let share = authority.shares.of(&identity);
        Caller { identity, authority, share }
    }

    #[test]
    fn an_agent_speaks_for_its_node_and_reads_nothing() {
        let agent = caller(Identity::Agent("n1".into()));
        assert!(agent.speaks_for("n1").is_ok());
        for other in ["n2", "N1", "n1.", "", "n11"] {
            assert_eq!(agent.speaks_for(other).unwrap_err().code(), tonic::Code::PermissionDenied, "{other}");
        }
        assert_eq!(agent.reader().unwrap_err().code(), tonic::Code::PermissionDenied);
        assert_eq!(agent.authority.refusals().of(Reason::Node), 5);
    }

    #[tokio::test]
    async fn readers_push_nothing_and_users_see_nothing_without_an_api_server() {
        let reader = caller(Identity::Reader("siem".into()));
        assert!(reader.speaks_for("n1").is_err());
        assert!(reader.reader().unwrap().sees_everything().await.unwrap());
        let user = caller(Identity::User(Arc::new(User::authenticated("jane".into()))));
        assert!(user.speaks_for("n1").is_err());
        let seen = user.reader().unwrap();
        assert!(
            !seen.sees_everything().await.unwrap()
                && !seen.sees("shop").await.unwrap()
                && !seen.sees("").await.unwrap()
        );
    }

    #[test]
    fn a_request_that_nobody_looked_at_has_no_caller() {
        assert_eq!(Caller::of(&Extensions::new()).unwrap_err().code(), tonic::Code::Unauthenticated);
    }
}
