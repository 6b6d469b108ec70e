//! What has changed, for who needs to know the last state of what is gone.

use std::collections::{BTreeMap, BTreeSet};

use coroner_diagnosis::observation::kube::{Change, Object};

use crate::{Report, Update};

/// The objects of a watch as they were last, by uid: so a new list can be compared with them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    known: BTreeMap<String, Object>,
    /// Uids of the list that is being read.
    listed: BTreeSet<String>,
}

impl Changes {
    /// What has not changed in what is kept of it is not reported again.
    pub(crate) fn take(&mut self, report: Report<(String, Object)>) -> Vec<Update> {
        match report {
            Report::ListBegun => {
                self.listed.clear();
                Vec::new()
            }
            Report::Applied((uid, object)) => {
                self.listed.insert(uid.clone());
                if self.known.get(&uid) == Some(&object) {
                    return Vec::new();
                }
                self.known.insert(uid, object.clone());
                vec![Update::Object(Change::Applied, object)]
            }
            Report::Deleted((uid, object)) => {
                self.listed.remove(&uid);
                self.known.remove(&uid);
                vec![Update::Object(Change::Deleted, object)]
            }
            Report::ListDone => {
                let listed = std::mem::take(&mut self.listed);
                let gone: Vec<_> = self.known.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                let gone = gone.into_iter().filter_map(|uid| self.known.remove(&uid));
                gone.map(|object| Update::Object(Change::Deleted, object)).collect()
            }
            Report::Health(health) => vec![Update::Health(health)],
        }
    }
}
