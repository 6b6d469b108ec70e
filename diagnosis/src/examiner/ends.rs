//! How often containers of one name in one pod have ended by one cause.

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::Cause;

use crate::{case::ContainerFile, observation::cri::ContainerId};

/// Ends by pod, container name and cause. Those of a pod are forgotten with it.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pods: BTreeMap<String, BTreeMap<(String, Cause), Count>>,
    /// Where an instance is counted: pod and container name.
    counted: BTreeMap<ContainerId, (String, String)>,
}

#[derive(Debug, Default)]
struct Count {
    /// Instances whose files are kept: their cause may still be another.
    open: BTreeSet<ContainerId>,
    /// Instances whose files are closed.
    closed: u32,
}

impl Ends {
    /// How often a container of this name in this pod has ended by this cause, this instance included.
    pub(super) fn count(&mut self, file: &ContainerFile, cause: Cause) -> u32 {
        let (Some(uid), Some(name)) = (file.pod_uid(), file.name()) else { return 1 };
        let place = (uid.to_owned(), name.to_owned());
        let count = self.pods.entry(place.0.clone()).or_default().entry((place.1.clone(), cause)).or_default();
        count.open.insert(file.id.clone());
        self.counted.insert(file.id.clone(), place);
        count.closed.saturating_add(u32::try_from(count.open.len()).unwrap_or(u32::MAX))
    }

    /// The file of an instance is closed.
    pub(super) fn close(&mut self, id: &ContainerId) {
        let Some((uid, name)) = self.counted.remove(id) else { return };
        let counts = self.pods.get_mut(&uid).into_iter().flatten().filter(|((of, _), _)| *of == name);
        for (_, count) in counts {
            count.closed = count.closed.saturating_add(u32::from(count.open.remove(id)));
        }
    }

    /// The file of a pod is closed.
    pub(super) fn forget(&mut self, uid: &str) {
        self.pods.remove(uid);
    }
}
