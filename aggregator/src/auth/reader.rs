//! What a caller may read.

use std::sync::Arc;

use tonic::Status;

use super::{authority::Authority, identity::User, review::Resource};

/// What a caller may read. Determined again for each read of the ledger, so that a withdrawn permission ends its open
/// streams too, as soon as the cached answer of the API server has expired.
#[derive(Clone, Debug)]
pub struct Reader(Option<(Arc<User>, Arc<Authority>)>);

impl Reader {
    pub(super) fn of_everything() -> Self {
        Self(None)
    }

    pub(super) fn of_user(user: Arc<User>, authority: Arc<Authority>) -> Self {
        Self(Some((user, authority)))
    }

    /// Whether it sees all namespaces and nodes.
    ///
    /// # Errors
    /// `UNAVAILABLE` if the API server does not answer.
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
    /// `UNAVAILABLE` if the API server does not answer.
    pub async fn sees(&self, namespace: &str) -> Result<bool, Status> {
        let Some((user, authority)) = &self.0 else { return Ok(true) };
        if namespace.is_empty() {
            return authority.allows(user, Resource::Nodes).await;
        }
        Ok(authority.allows(user, Resource::AllPods).await?
            || authority.allows(user, Resource::PodsOf(namespace.into())).await?)
    }

    /// The same, if that was asked of late.
    pub(super) async fn remembers(&self, namespace: &str) -> Option<bool> {
        let Some((user, authority)) = &self.0 else { return Some(true) };
        if namespace.is_empty() {
            return authority.remembers(user, Resource::Nodes).await;
        }
        match authority.remembers(user, Resource::AllPods).await {
            Some(true) => Some(true),
            Some(false) => authority.remembers(user, Resource::PodsOf(namespace.into())).await,
            None => None,
        }
    }
}
