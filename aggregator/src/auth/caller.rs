//! Who sent a request, as the services see it.

use std::sync::Arc;

use tonic::{Extensions, Status};

use super::{
    authority::Authority,
    identity::Identity,
    reader::Reader,
    refusals::Reason,
    share::{Share, Slot},
};

/// What a caller may ask for at all; what of it, the services judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Pushing.
    Push,
    /// Reading.
    Read,
    /// What there is to push and to read.
    Describe,
}

/// Who sent a request, as the services see it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) identity: Identity,
    pub(super) authority: Arc<Authority>,
    pub(super) share: Arc<Share>,
}

impl Caller {
    /// The caller of a request. Fails closed: a request that was not [authenticated](super::Authentication) has none.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`.
    pub fn of(extensions: &Extensions) -> Result<Self, Status> {
        extensions.get().cloned().ok_or_else(|| Status::unauthenticated("the request is not authenticated"))
    }

    /// Whether it has this right at all.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn may(&self, right: Right) -> Result<(), Status> {
        match (right, &self.identity) {
            (Right::Describe, _) | (_, Identity::Local) | (Right::Push, Identity::Agent(_)) => Ok(()),
            (Right::Push, Identity::Reader(_) | Identity::User(_)) => {
                let status = Status::permission_denied("only agents push");
                Err(self.authority.refuse(Reason::Node, &self.identity, status))
            }
            (Right::Read, _) => self.reader().map(drop),
        }
    }

    /// Its name with its kind, as in the log: `user/jane`.
    pub fn name(&self) -> String {
        self.identity.to_string()
    }

    /// Whether it is one of the users whom the API server knows, of whom there may be any number.
    pub fn is_user(&self) -> bool {
        matches!(self.identity, Identity::User(_))
    }

    /// Whether it may push for this node.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn may_push_for(&self, node: &str) -> Result<(), Status> {
        let refuse = |text| Err(self.authority.refuse(Reason::Node, &self.identity, Status::permission_denied(text)));
        match &self.identity {
            Identity::Local => Ok(()),
            Identity::Agent(own) if own == node => Ok(()),
            Identity::Agent(own) => refuse(format!("this agent may push for node {own} only")),
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
            Identity::Local | Identity::Reader(_) => Ok(Reader::of_everything()),
            Identity::User(user) => Ok(Reader::of_user(Arc::clone(user), Arc::clone(&self.authority))),
            Identity::Agent(_) => {
                let status = Status::permission_denied("agents push, and do not read");
                Err(self.authority.refuse(Reason::Reader, &self.identity, status))
            }
        }
    }

    /// Counts a refusal of what it requested, and logs it.
    pub fn refuse(&self, reason: Reason, status: Status) -> Status {
        self.authority.refuse(reason, &self.identity, status)
    }

    /// A place for one more request.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` if it has as many as one may have.
    pub fn slot(&self) -> Result<Slot, Status> {
        let slot = Arc::clone(&self.share).request();
        slot.map_err(|status| self.authority.refuse(Reason::Share, &self.identity, status))
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` if it has as many as one may have.
    pub fn stream_slot(&self) -> Result<Slot, Status> {
        let slot = Arc::clone(&self.share).stream();
        slot.map_err(|status| self.authority.refuse(Reason::Share, &self.identity, status))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{identity::User, review::Accounts},
        *,
    };
    use crate::budget::Budget;

    fn caller(identity: Identity) -> Caller {
        let authority = Arc::new(Authority::new(None, Accounts::default(), Arc::default(), Budget::of(256 << 20)));
        let share = authority.shares.of(&identity);
        Caller { identity, authority, share }
    }

    #[test]
    fn an_agent_pushes_for_its_node_only_and_reads_nothing() {
        let agent = caller(Identity::Agent("n1".into()));
        assert!(agent.may_push_for("n1").is_ok());
        for other in ["n2", "N1", "n1.", "", "n11"] {
            assert_eq!(agent.may_push_for(other).unwrap_err().code(), tonic::Code::PermissionDenied, "{other}");
        }
        assert_eq!(agent.reader().unwrap_err().code(), tonic::Code::PermissionDenied);
        assert_eq!(agent.authority.refusals().of(Reason::Node), 5);
    }

    #[tokio::test]
    async fn readers_push_nothing_and_users_see_nothing_without_an_api_server() {
        let reader = caller(Identity::Reader("siem".into()));
        assert!(reader.may_push_for("n1").is_err());
        assert!(reader.reader().unwrap().sees_everything().await.unwrap());
        let user = caller(Identity::User(Arc::new(User::authenticated("jane".into()))));
        assert!(user.may_push_for("n1").is_err());
        let seen = user.reader().unwrap();
        assert!(
            !seen.sees_everything().await.unwrap()
                && !seen.sees("shop").await.unwrap()
                && !seen.sees("").await.unwrap()
        );
    }

    #[test]
    fn an_unauthenticated_request_has_no_caller() {
        assert_eq!(Caller::of(&Extensions::new()).unwrap_err().code(), tonic::Code::Unauthenticated);
    }
}
