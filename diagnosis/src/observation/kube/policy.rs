//! What stands between a controller and its pods, or a pod and its storage: ResourceQuotas, LimitRanges, claims.

use k8s_openapi::api::core::v1 as core;
use serde::{Deserialize, Serialize};

use super::{Meta, Resources, quantity::resources, text};

/// A ResourceQuota, as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceQuota {
    /// Name, namespace and uid of the ResourceQuota.
    pub meta: Meta,
    /// What all objects of the namespace may have together.
    #[serde(with = "super::quantity::as_text")]
    pub hard: Resources,
    /// What is used of each resource, in thousandths.
    #[serde(with = "super::quantity::as_text")]
    pub used: Resources,
}

/// A LimitRange, as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitRange {
    /// Name, namespace and uid of the LimitRange.
    pub meta: Meta,
}

/// A PersistentVolumeClaim, as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// Name, namespace and uid of the PersistentVolumeClaim.
    pub meta: Meta,
    /// The phase: `Pending`, `Bound` or `Lost`.
    pub phase: String,
    /// Its storage class; `None` if it leaves that to the cluster.
    pub class: Option<String>,
    /// The volume that it is bound to; empty while there is none.
    pub volume: String,
}

impl From<&core::ResourceQuota> for ResourceQuota {
    fn from(quota: &core::ResourceQuota) -> Self {
        let status = quota.status.as_ref();
        let hard = status.and_then(|status| status.hard.as_ref());
        Self {
            meta: Meta::from(&quota.metadata),
            hard: resources(hard.or_else(|| quota.spec.as_ref()?.hard.as_ref())),
            used: resources(status.and_then(|status| status.used.as_ref())),
        }
    }
}

impl From<&core::LimitRange> for LimitRange {
    fn from(range: &core::LimitRange) -> Self {
        Self { meta: Meta::from(&range.metadata) }
    }
}

impl From<&core::PersistentVolumeClaim> for Claim {
    fn from(claim: &core::PersistentVolumeClaim) -> Self {
        let (spec, status) = (claim.spec.as_ref(), claim.status.as_ref());
        Self {
            meta: Meta::from(&claim.metadata),
            phase: status.map(|status| text(&status.phase)).unwrap_or_default(),
            class: spec.and_then(|spec| spec.storage_class_name.clone()),
            volume: spec.map(|spec| text(&spec.volume_name)).unwrap_or_default(),
        }
    }
}
