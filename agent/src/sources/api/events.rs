//! Events: those of the node itself, and those of the pods that are in trouble.

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use coroner_diagnosis::{
    messages::health,
    observation::{
        Health,
        kube::{Kind, Object},
    },
};
use coroner_watch::Update;
use futures::{StreamExt as _, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, Client};
use tokio::{
    select,
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_stream::StreamMap;

use super::{
    PAGE, report,
    trouble::Trouble,
    turns::{AT_ONCE, Spell, Step, Turns},
};
use crate::sources::outlet::Outlet;

/// The pods in trouble, as the watch of pods knows them.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    turns: Mutex<Turns>,
    changed: Notify,
}

impl Troubles {
    /// A pod is in trouble, or (`None`) not.
    pub(super) fn set(&self, uid: &str, trouble: Option<Trouble>) {
        let (now, wall) = (Instant::now(), Timestamp::now());
        let at = |time: Timestamp| {
            let ahead = Duration::try_from(time.duration_since(wall)).unwrap_or_default();
            now + ahead
        };
        let spell = trouble.map(|Trouble { from, until, gone }| Spell { from: at(from), until: until.map(at), gone });
        self.with(|turns| turns.set(uid, spell, now));
        self.changed.notify_one();
    }

    fn with<T>(&self, act: impl FnOnce(&mut Turns) -> T) -> T {
        act(&mut self.turns.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) async fn watch(client: Client, outlet: &Outlet, node: &str, troubles: &Troubles) -> Infallible {
    let of = |selector: &str| -> BoxStream<'static, Update> {
        let api: Api<core::Event> = Api::all(client.clone());
        let prune = |event: &core::Event| Object::Event(Box::new(event.into()));
        coroner_watch::watch(api, selector, PAGE, Kind::Events, prune).boxed()
    };
    // By the pod's uid; the node's own under an empty one.
    let mut streams = StreamMap::new();
    streams.insert(String::new(), of(&format!("involvedObject.kind=Node,involvedObject.name={node}")));
    // The node's own events stand for all: they are requested in the same way.
    let mut health = None;
    loop {
        let next = troubles.with(|turns| turns.next(Instant::now()));
        select! {
            Some((uid, update)) = streams.next() => match update {
                Update::Health(own) if uid.is_empty() => health = Some(own),
                Update::Health(Health::Ok) => troubles.with(|turns| turns.listed(&uid)),
                Update::Health(_) => {}
                update @ Update::Object(..) => {
                    report(outlet, update).await;
                    continue;
                }
            },
            () = troubles.changed.notified() => {}
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
        let now = Instant::now();
        for step in troubles.with(|turns| turns.steps(now)) {
            match step {
                Step::Begin(uid) => {
                    let stream = of(&format!("involvedObject.uid={uid}"));
                    streams.insert(uid, stream);
                }
                Step::End(uid) => {
                    streams.remove(&uid);
                }
            }
        }
        if let Some(own) = &health {
            outlet.health(with_waiting(own, troubles.with(|turns| turns.waiting(now)))).await;
        }
    }
}

fn with_waiting(own: &Health, waiting: usize) -> Health {
    match (own, waiting) {
        (Health::Ok, 1..) => Health::Degraded(health::health_events_wait(waiting, AT_ONCE).into()),
        _ => own.clone(),
    }
}
