//! Answers of the API server about a token (TokenReview) and about what a user may read (SubjectAccessReview).
//!
//! Its answers are kept for a short time, as the kubelet keeps them (`authentication.webhook.cacheTTL`): asked at each
//! push of each agent it would suffer. Nothing is kept of an answer that did not come.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::Client;
use moka::{Expiry, future::Cache};
use tonic::Status;

use super::{
    identity::{Identity, User},
    lanes::{Lane, Server, Unavailable},
    peer::Peer,
};
use crate::budget::Budget;

/// How long a token that was accepted need not be asked for.
const TOKEN_ACCEPTED: Duration = Duration::from_secs(120);
/// The same for one that was refused.
const TOKEN_REFUSED: Duration = Duration::from_secs(10);
/// How long what a user may see holds.
const ALLOWED: Duration = Duration::from_secs(60);
/// The same for what it may not.
const DENIED: Duration = Duration::from_secs(30);
/// How long a token counts as one that was accepted before.
const FAMILIAR: Duration = Duration::from_secs(3_600);
/// Tokens that are remembered: as many as there may be nodes,
const MAX_TOKENS: u64 = 10_000;
/// and those that were refused.
const MAX_REFUSED: u64 = 2_000;
/// The attribute in which the API server reports the node of a token's pod (KEP-4193).
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// For whom tokens are, and who the agents are.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The audience of the tokens.
    pub audience: String,
    /// The user whose tokens are the agents'.
    pub agent: String,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { audience: "coroner".into(), agent: "system:serviceaccount:coroner:coroner-agent".into() }
    }
}

/// Why a token does not let its bearer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is none, or not for this audience.
    Invalid,
    /// It is an agent's, and bound to no node.
    Unbound,
}

impl Refusal {
    pub(super) fn status(self) -> Status {
        match self {
            Self::Invalid => Status::unauthenticated("the API server does not accept the token for this audience"),
            Self::Unbound => Status::permission_denied("the agent's token is bound to no node: mount a projected one"),
        }
    }
}

/// The resource that a user must be allowed to `get`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    /// The pods of all namespaces.
    AllPods,
    /// The pods of one.
    PodsOf(Arc<str>),
    /// The nodes.
    Nodes,
}

/// Why it is not known who bears a token.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Refused(Refusal),
    Unavailable,
}

type Bearer = Result<Identity, Refusal>;
type Hash = [u8; 32];

/// Reviews tokens and permissions through the API server, with caches.
#[derive(Debug)]
pub(super) struct Review {
    server: Server,
    accounts: Accounts,
    /// By the tokens' hashes: the tokens themselves are not kept. Those that are accepted have a place that no others
    /// take.
    accepted: Cache<Hash, Identity>,
    refused: Cache<Hash, Refusal>,
    /// Tokens that were accepted before, and are due to be asked for again.
    familiar: Cache<Hash, ()>,
    answers: Cache<(Arc<User>, Resource), bool>,
}

impl Review {
    pub(super) fn new(client: Client, accounts: Accounts, budget: Budget) -> Self {
        Self {
            server: Server::new(client),
            accounts,
            accepted: Cache::builder().max_capacity(MAX_TOKENS).time_to_live(TOKEN_ACCEPTED).build(),
            refused: Cache::builder().max_capacity(MAX_REFUSED).time_to_live(TOKEN_REFUSED).build(),
            familiar: Cache::builder().max_capacity(MAX_TOKENS).time_to_live(FAMILIAR).build(),
            answers: Cache::builder().max_capacity(budget.reviews()).expire_after(Lifetime).build(),
        }
    }

    /// Who bears a token that came from this peer.
    pub(super) async fn token(&self, token: &str, peer: &Peer) -> Result<Bearer, Unavailable> {
        let hash = digest(&SHA256, token.as_bytes());
        let key: Hash = hash.as_ref().try_into().map_err(|_| Unavailable)?;
        if let Some(refusal) = self.refused.get(&key).await {
            return Ok(Err(refusal));
        }
        let review = async {
            let is_known = peer.is_known() || self.familiar.contains_key(&key);
            let lane = if is_known { Lane::Known } else { Lane::Unknown(peer.ip()) };
            let Accounts { audience, agent } = &self.accounts;
            let spec = TokenReviewSpec { audiences: Some(vec![audience.clone()]), token: Some(token.to_owned()) };
            let review = TokenReview { spec, ..TokenReview::default() };
            let review = self.server.ask(lane, &review).await.map_err(|Unavailable| Failure::Unavailable)?;
            let status = review.status.ok_or(Failure::Refused(Refusal::Invalid))?;
            bearer(status, audience, agent).map_err(Failure::Refused)
        };
        match self.accepted.try_get_with(key, review).await {
            Ok(identity) => {
                if !self.familiar.contains_key(&key) {
                    self.familiar.insert(key, ()).await;
                }
                Ok(Ok(identity))
            }
            Err(failure) => match *failure {
                Failure::Unavailable => Err(Unavailable),
                Failure::Refused(refusal) => {
                    self.refused.insert(key, refusal).await;
                    self.familiar.invalidate(&key).await;
                    Ok(Err(refusal))
                }
            },
        }
    }

    /// Whether a user may get a resource.
    pub(super) async fn allows(&self, user: &Arc<User>, resource: Resource) -> Result<bool, Unavailable> {
        let key = (Arc::clone(user), resource.clone());
        let review = async {
            let review = self.server.ask(Lane::Access, &access_review(user, &resource)).await?;
            Ok(review.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
        };
        self.answers.try_get_with(key, review).await.map_err(|error: Arc<Unavailable>| *error)
    }

    /// The same, if it was asked of late.
    pub(super) async fn remembers(&self, user: &Arc<User>, resource: Resource) -> Option<bool> {
        self.answers.get(&(Arc::clone(user), resource)).await
    }
}

fn bearer(status: TokenReviewStatus, audience: &str, agent: &str) -> Bearer {
    // An API server that knows nothing of audiences names none.
    let is_for_us = status.audiences.unwrap_or_default().iter().any(|named| named == audience);
    if status.authenticated != Some(true) || !is_for_us {
        return Err(Refusal::Invalid);
    }
    let UserInfo { username, uid, groups, extra } = status.user.unwrap_or_default();
    let name = username.filter(|name| !name.is_empty()).ok_or(Refusal::Invalid)?;
    let extra = extra.unwrap_or_default();
    if name == agent {
        return match extra.get(NODE_NAME).map(Vec::as_slice) {
            Some([node]) if !node.is_empty() => Ok(Identity::Agent(node.clone())),
            _ => Err(Refusal::Unbound),
        };
    }
    let (uid, groups) = (uid.unwrap_or_default(), groups.unwrap_or_default());
    Ok(Identity::User(Arc::new(User { name, uid, groups, extra })))
}

fn access_review(user: &User, resource: &Resource) -> SubjectAccessReview {
    let (resource, namespace) = match resource {
        Resource::AllPods => ("pods", None),
        Resource::PodsOf(namespace) => ("pods", Some(namespace.to_string())),
        Resource::Nodes => ("nodes", None),
    };
    let attributes = ResourceAttributes {
        verb: Some("get".into()),
        resource: Some(resource.into()),
        namespace,
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.name.clone()),
        uid: Some(user.uid.clone()),
        groups: Some(user.groups.clone()),
        extra: Some(user.extra.clone()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}

struct Lifetime;

impl<K> Expiry<K, bool> for Lifetime {
    fn expire_after_create(&self, _: &K, allowed: &bool, _: std::time::Instant) -> Option<Duration> {
        Some(if *allowed { ALLOWED } else { DENIED })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "system:serviceaccount:coroner:coroner-agent";

    fn status(user: &str, audiences: &[&str], extra: &[(&str, &[&str])]) -> TokenReviewStatus {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let extra = extra.iter().map(|(key, values)| ((*key).to_owned(), owned(values))).collect();
        let user = UserInfo { username: Some(user.into()), extra: Some(extra), ..UserInfo::default() };
        TokenReviewStatus {
            authenticated: Some(true),
            audiences: Some(owned(audiences)),
            user: Some(user),
            error: None,
        }
    }

    #[test]
    fn an_agent_is_known_by_account_and_node() {
        let of = |status| bearer(status, "coroner", AGENT);
        let bound = status(AGENT, &["coroner"], &[(NODE_NAME, &["n1"])]);
        assert_eq!(of(bound.clone()), Ok(Identity::Agent("n1".into())));
        assert_eq!(of(status(AGENT, &["coroner"], &[])), Err(Refusal::Unbound));
        assert_eq!(of(status(AGENT, &["coroner"], &[(NODE_NAME, &["n1", "n2"])])), Err(Refusal::Unbound));
        assert_eq!(of(TokenReviewStatus { authenticated: Some(false), ..bound.clone() }), Err(Refusal::Invalid));
        assert_eq!(of(TokenReviewStatus { authenticated: None, ..bound.clone() }), Err(Refusal::Invalid));
        assert_eq!(of(TokenReviewStatus { audiences: None, ..bound.clone() }), Err(Refusal::Invalid));
        assert_eq!(of(status(AGENT, &["vault"], &[(NODE_NAME, &["n1"])])), Err(Refusal::Invalid));
        assert_eq!(of(status("", &["coroner"], &[])), Err(Refusal::Invalid));
    }

    #[test]
    fn any_other_account_is_a_user_even_on_a_node() {
        let other = status("system:serviceaccount:shop:web", &["coroner"], &[(NODE_NAME, &["n1"])]);
        let Ok(Identity::User(user)) = bearer(other, "coroner", AGENT) else { panic!("not a user") };
        assert_eq!(user.name, "system:serviceaccount:shop:web");
    }
}
