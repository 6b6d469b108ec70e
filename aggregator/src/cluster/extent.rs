//! How much of the cluster is watched, as memory allows.

use std::time::Duration;

use coroner_diagnosis::{
    cluster::Scope,
    messages::{Message, health},
    observation::kube::Kind,
};
use tokio::time::Instant;

use crate::memory::{Limits, Memory};

/// After so long with less, all is watched again, in case that the cluster has shrunk.
const NARROWED: Duration = Duration::from_hours(1);

/// How much is watched, and why not all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// The scope of the watch; `None` if nothing is watched.
    pub(super) scope: Option<Scope>,
    /// The memory when less had to be watched, and until when that stays so.
    narrowed: Option<(Memory, Instant)>,
}

impl Extent {
    /// The extent in which the whole cluster is watched.
    pub(super) const ALL: Self = Self { scope: Some(Scope::All), narrowed: None };

    /// The next smaller extent.
    pub(super) fn narrower(self, memory: Memory) -> Self {
        let scope = match self.scope {
            Some(Scope::All) => Some(Scope::Unscheduled),
            Some(Scope::Unscheduled) | None => None,
        };
        Self { scope, narrowed: Some((memory, Instant::now() + NARROWED)) }
    }

    /// Whether there may be memory for all again: the limit was raised, or time has passed.
    pub(super) fn may_widen(self, limits: &Limits) -> bool {
        self.narrowed.is_some_and(|(before, until)| {
            until <= Instant::now() || limits.memory().is_none_or(|memory| memory.limit > before.limit)
        })
    }

    /// Why a kind is not watched, or not all of it.
    pub(super) fn limitation(self, kind: Kind) -> Option<Message> {
        let (Memory { used, limit }, _) = self.narrowed?;
        match (self.scope, kind) {
            (None, _) | (_, Kind::Services | Kind::EndpointSlices | Kind::Ingresses) => {
                Some(health::health_unwatched(used, limit))
            }
            (_, Kind::Pods) => Some(health::health_unscheduled_only(used, limit)),
            _ => None,
        }
    }
}
