//! What a watch has told, so that a new list can be compared with it.

use std::collections::{BTreeMap, BTreeSet};

use coroner_diagnosis::{
    observation::{
        Health,
        kube::{Change, Kind, Object},
    },
    text,
};
use kube::{
    Resource, ResourceExt as _,
    runtime::watcher::{Error, Event},
};

use crate::Told;

/// Longest reason of a health, in bytes.
const REASON: usize = 400;

pub(crate) struct State {
    kind: Kind,
    /// By uid, as last told.
    known: BTreeMap<String, Object>,
    /// Uids of the list that is being read.
    listed: BTreeSet<String>,
    health: Option<Health>,
}

impl State {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, known: BTreeMap::new(), listed: BTreeSet::new(), health: None }
    }

    pub(crate) fn take<K: Resource>(
        &mut self,
        event: Result<Event<K>, Error>,
        prune: &impl Fn(&K) -> Object,
    ) -> Vec<Told> {
        match event {
            Ok(Event::Init) => {
                self.listed.clear();
                Vec::new()
            }
            Ok(Event::InitApply(object)) => {
                self.listed.extend(object.uid());
                self.applied(&object, prune)
            }
            Ok(Event::InitDone) => {
                let listed = std::mem::take(&mut self.listed);
                let gone: Vec<_> = self.known.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                let gone = gone.into_iter().filter_map(|uid| self.known.remove(&uid));
                let mut told: Vec<_> = gone.map(|object| Told::Object(Change::Deleted, object)).collect();
                told.extend(self.well());
                told
            }
            Ok(Event::Apply(object)) => {
                let mut told = self.applied(&object, prune);
                told.extend(self.well());
                told
            }
            Ok(Event::Delete(object)) => {
                object.uid().and_then(|uid| self.known.remove(&uid));
                let mut told = vec![Told::Object(Change::Deleted, prune(&object))];
                told.extend(self.well());
                told
            }
            Err(error) => self.health(broken(self.kind, &error)).into_iter().collect(),
        }
    }

    /// What has not changed in what is kept of it is not told again.
    fn applied<K: Resource>(&mut self, object: &K, prune: &impl Fn(&K) -> Object) -> Vec<Told> {
        let Some(uid) = object.uid() else { return Vec::new() };
        let pruned = prune(object);
        if self.known.get(&uid) == Some(&pruned) {
            return Vec::new();
        }
        self.known.insert(uid, pruned.clone());
        vec![Told::Object(Change::Applied, pruned)]
    }

    fn well(&mut self) -> Option<Told> {
        self.health(Health::Ok)
    }

    fn health(&mut self, health: Health) -> Option<Told> {
        if self.health.as_ref() == Some(&health) {
            return None;
        }
        self.health = Some(health.clone());
        Some(Told::Health(health))
    }
}

fn broken(kind: Kind, error: &Error) -> Health {
    let code = match error {
        Error::InitialListFailed(kube::Error::Api(status)) | Error::WatchStartFailed(kube::Error::Api(status)) => {
            status.code
        }
        Error::WatchError(status) => status.code,
        _ => 0,
    };
    let reason = |text: String| text::clean(&text, REASON);
    match code {
        401 | 403 => Health::Absent(reason(format!("not allowed to list and watch {}: {error}", kind.name()))),
        404 => Health::Absent(reason(format!("the API server has no {}", kind.name()))),
        _ => Health::Degraded(reason(format!("watching {}: {error}", kind.name()))),
    }
}
