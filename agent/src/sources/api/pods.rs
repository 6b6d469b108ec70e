//! The pods of this node.

use std::{convert::Infallible, sync::Arc};

use coroner_diagnosis::observation::kube::{Kind, Object};
use coroner_watch::Update;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, Client};
use tokio::{select, sync::mpsc};

use super::{
    PAGE,
    events::Troubles,
    owners::Owners,
    patience::{self, Question},
    report, trouble,
};
use crate::sources::outlet::Outlet;

pub(super) async fn watch(client: Client, outlet: &Outlet, node: &str, troubles: &Troubles) -> Infallible {
    let api: Api<core::Pod> = Api::all(client.clone());
    let selector = format!("spec.nodeName={node}");
    let prune = |pod: &core::Pod| Object::Pod(Arc::new(pod.into()));
    let mut update = coroner_watch::watch(api, &selector, PAGE, Kind::Pods, prune).boxed();
    let mut owners = Owners::new(client.clone());
    let (ask, questions) = mpsc::channel(patience::WAITING);
    let watching = async {
        loop {
            let Some(update) = update.next().await else { continue };
            if let Update::Object(change, Object::Pod(pod)) = &update {
                troubles.set(&pod.meta.uid, trouble::of(*change, pod, Timestamp::now()));
                owners.report_if_needed(pod, outlet).await;
                if let Some(question) = Question::of(pod) {
                    let _too_many = ask.try_send(question);
                }
            }
            report(outlet, update).await;
        }
    };
    select! {
        never = watching => never,
        // Beside it: pods are not to wait for it.
        never = patience::answer(client, questions, outlet) => never,
    }
}
