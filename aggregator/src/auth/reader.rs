//! What a caller may read.

use std::sync::Arc;

use tonic::Status;

use super::{authority::Authority, identity::User, review::Resource};

/// What a caller may read. Asked anew for each look into the ledger, so that what is taken away from a reader is taken away
/// from its open streams too, as soon as the API server's answer has grown old.
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
