//! Leases of nodes.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1 as coordination;
use serde::{Deserialize, Serialize};

/// The Lease by which a kubelet shows that it lives, in the namespace `kube-node-lease`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// The name of the node, which is also the Lease's.
    pub node: String,
    /// `spec.renewTime`, by the node's own clock; `None` if it is gone.
    pub renewal: Option<Timestamp>,
}

impl From<&coordination::Lease> for Lease {
    fn from(lease: &coordination::Lease) -> Self {
        let renewal = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
        Self { node: lease.metadata.name.clone().unwrap_or_default(), renewal }
    }
}
