//! Decides who may do what, by what a connection and a request show.

use std::{fmt, sync::Arc};

use tonic::{Status, codegen::http::HeaderMap};

use super::{
    certificate::Role,
    identity::{Identity, User},
    lanes::Unavailable,
    peer::{Credentials, Peer},
    refusals::{Reason, Refusals},
    review::{Accounts, Resource, Review},
    share::Shares,
};
use crate::{budget::Budget, unavailable::unavailable};

/// Names the user for whom a proxy asks, and its groups, one a header: as Kubernetes' own proxies do.
const USER_HEADER: &str = "x-remote-user";
const GROUP_HEADER: &str = "x-remote-group";
/// Groups of one user.
const MAX_GROUPS: usize = 64;

/// Decides who may do what.
#[derive(Debug)]
pub struct Authority {
    review: Option<Review>,
    refusals: Arc<Refusals>,
    pub(super) shares: Shares,
}

impl Authority {
    /// Decides with the help of an API server, or without one by certificates alone.
    pub fn new(client: Option<kube::Client>, accounts: Accounts, refusals: Arc<Refusals>, budget: Budget) -> Self {
        let review = client.map(|client| Review::new(client, accounts, budget));
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
            Credentials::Certificate(Ok(Role::Proxy(proxy))) => {
                return match user_of(headers) {
                    Some(user) => Ok(Identity::User(Arc::new(user))),
                    None => {
                        let text = format!("the proxy {proxy} names no user whom it may name in {USER_HEADER}");
                        refuse(Reason::Token, Status::unauthenticated(text))
                    }
                };
            }
            Credentials::Certificate(Ok(Role::User(name))) => {
                return Ok(Identity::User(Arc::new(User::authenticated(name.clone()))));
            }
            Credentials::Certificate(Err(no_role)) => Some(no_role),
            Credentials::None => None,
        };
        match (bearer(headers), &self.review) {
            (Ok(Some(token)), Some(review)) => match review.token(token, peer).await {
                Ok(Ok(identity)) => Ok(identity),
                Ok(Err(refusal)) => refuse(Reason::Token, refusal.status()),
                Err(unavailable) => refuse(Reason::Unavailable, unavailable.into()),
            },
            (Ok(Some(_)), None) => {
                let text = "this aggregator accepts no tokens: it has no API server to review them";
                refuse(Reason::Token, Status::unauthenticated(text))
            }
            (Err(_malformed), _) => {
                refuse(Reason::Token, Status::unauthenticated("the authorization is not a bearer token"))
            }
            (Ok(None), _) => match no_role {
                Some(no_role) => refuse(Reason::Certificate, Status::permission_denied(no_role.to_string())),
                None => {
                    refuse(Reason::Nothing, Status::unauthenticated("present a client certificate or a bearer token"))
                }
            },
        }
    }

    /// Counts a refusal, and logs it.
    pub(super) fn refuse(&self, reason: Reason, who: &dyn fmt::Display, status: Status) -> Status {
        self.refusals.count(reason, who, status.message());
        status
    }

    pub(super) async fn allows(&self, user: &Arc<User>, resource: Resource) -> Result<bool, Status> {
        // Without an API server, the permissions of a user cannot be determined.
        let Some(review) = &self.review else { return Ok(false) };
        let allowed = review.allows(user, resource).await;
        allowed.map_err(|unavailable| self.refuse(Reason::Unavailable, &user.name, unavailable.into()))
    }

    /// The same, if that was asked of late.
    pub(super) async fn remembers(&self, user: &Arc<User>, resource: Resource) -> Option<bool> {
        match &self.review {
            Some(review) => review.remembers(user, resource).await,
            None => Some(false),
        }
    }
}

impl From<Unavailable> for Status {
    fn from(error: Unavailable) -> Self {
        unavailable(error.to_string())
    }
}

/// The user on whose behalf a proxy asks. None of the API server's own users and groups, `system:…`, whom no proxy
/// authenticates.
fn user_of(headers: &HeaderMap) -> Option<User> {
    let own = |name: &str| name.is_empty() || name.starts_with("system:");
    let mut names = headers.get_all(USER_HEADER).iter();
    let name = names.next()?.to_str().ok().filter(|name| !own(name))?;
    let groups: Result<Vec<_>, _> = headers.get_all(GROUP_HEADER).iter().map(|group| group.to_str()).collect();
    let groups = groups.ok()?;
    if names.next().is_some() || groups.len() > MAX_GROUPS || groups.iter().any(|group| own(group)) {
        return None;
    }
    let mut user = User::authenticated(name.to_owned());
    user.groups.extend(groups.into_iter().map(str::to_owned));
    Some(user)
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
        Peer::new(Address::Unix, credentials, None)
    }

    async fn identify(credentials: Credentials, headers: &HeaderMap) -> Result<Identity, tonic::Code> {
        let authority = Authority::new(None, Accounts::default(), Arc::default(), Budget::of(256 << 20));
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
    async fn a_proxy_may_act_for_users_but_for_none_of_the_api_servers_own() {
        let ask = async |names: &[(&'static str, &str)]| {
            let parsed = names.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let headers: HeaderMap = parsed.fold(HeaderMap::new(), |mut headers, (name, value)| {
                let name: tonic::codegen::http::HeaderName = name;
                headers.append(name, value);
                headers
            });
            identify(Credentials::Certificate(Ok(Role::Proxy("sso".into()))), &headers).await
        };
        let Ok(Identity::User(user)) = ask(&[(USER_HEADER, "jane"), (GROUP_HEADER, "a"), (GROUP_HEADER, "b")]).await
        else {
            panic!("not a user")
        };
        assert_eq!((&*user.name, user.groups.join(" ")), ("jane", "system:authenticated a b".into()));
        for wrong in [
            &[][..],
            &[(USER_HEADER, "")],
            &[(USER_HEADER, "system:admin")],
            &[(USER_HEADER, "jane"), (USER_HEADER, "joe")],
            &[(USER_HEADER, "jane"), (GROUP_HEADER, "system:masters")],
            &[("authorization", "Bearer a")],
        ] {
            assert_eq!(ask(wrong).await, Err(tonic::Code::Unauthenticated), "{wrong:?}");
        }
        let named = HeaderMap::from_iter([(USER_HEADER.parse().unwrap(), "jane".parse().unwrap())]);
        let reader = Credentials::Certificate(Ok(Role::Reader("siem".into())));
        assert_eq!(identify(reader, &named).await, Ok(Identity::Reader("siem".into())), "only a proxy names users");
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
