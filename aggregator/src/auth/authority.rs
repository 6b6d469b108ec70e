//! Decides who may do what, by what a connection and a request show.

use std::{fmt, sync::Arc};

use tonic::{Status, codegen::http::HeaderMap};

use super::{
    certificate::Role,
    identity::{Identity, User},
    peer::{Credentials, Peer},
    refusals::{Reason, Refusals},
    review::{Accounts, Resource, Review, Unavailable},
    share::Shares,
};
use crate::unavailable::unavailable;

/// Decides who may do what.
#[derive(Debug)]
pub struct Authority {
    review: Option<Review>,
    refusals: Arc<Refusals>,
    pub(super) shares: Shares,
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
    pub(super) async fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Identity, Status> {
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
    pub(super) fn refuse(&self, reason: Reason, who: &dyn fmt::Display, status: Status) -> Status {
        self.refusals.count(reason, who, status.message());
        status
    }

    pub(super) async fn allows(&self, user: &Arc<User>, resource: Resource) -> Result<bool, Status> {
        // Without an API server nobody can say what a user may see.
        let Some(review) = &self.review else { return Ok(false) };
        let allowed = review.allows(user, resource).await;
        allowed.map_err(|unavailable| self.refuse(Reason::Unavailable, &user.name, unavailable.into()))
    }
}

impl From<Unavailable> for Status {
    fn from(error: Unavailable) -> Self {
        unavailable(error.to_string())
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

#[cfg(test)]
mod tests {
    use super::{
        super::{certificate::NoRole, peer::Address},
        *,
    };

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(tonic::codegen::http::header::AUTHORIZATION, authorization.parse().unwrap())])
    }

    fn peer(credentials: Credentials) -> Peer {
        Peer::new(Address::Unix, credentials)
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
}
