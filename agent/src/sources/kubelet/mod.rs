//! The kubelet's HTTP endpoints, each under a permission of its own (`pkg/kubelet/server/auth.go`): `/pods`,
//! `/stats/summary`, `/configz` and `/healthz`. `nodes/proxy`, which would let the agent run commands in every pod, is
//! never needed.
//!
//! The kubelet cannot notify, so it is polled; each request has a deadline, and answers are bounded. `/healthz` shows
//! whether the kubelet is healthy: `node_checks` asks for it, and passes on what changes ([`Healthz`]). Another
//! endpoint that does not answer while it is degrades the source for as long as that lasts: collecting
//! `/stats/summary` can be slow on a kubelet that does its work.

mod client;
mod endpoint;
mod pod_list;

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use coroner_diagnosis::{
    messages::health,
    observation::{
        Fact, Health, Source,
        kubelet::{Configz, Summary},
        node::Answer,
    },
};
use coroner_runtime::backoff::Backoff;
use tokio::{
    select,
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

pub use self::client::Config;
pub(super) use self::client::{Client, HEALTH_DEADLINE};
use self::{endpoint::Endpoint, pod_list::PodList};
use super::{outlet::Outlet, site::Site};
use crate::footprint;

/// What `/healthz` came to last, or what is wrong with the certificate of who answered; `None` before the first answer.
pub(super) type Healthz = watch::Sender<Option<Result<Answer, String>>>;

/// Time between two looks whether an endpoint is to be asked.
const LOOK: Duration = Duration::from_secs(5);
/// Usage; the kubelet measures every ten seconds.
const SUMMARY: Duration = Duration::from_secs(15);
/// Its pods, of which the watch of the API server reports every change.
const PODS: Duration = Duration::from_mins(1);
/// Its configuration, which changes only with a restart.
const CONFIG: Duration = Duration::from_mins(10);
/// The first delay before a client that could not be made is tried again, and the longest.
const CLIENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Starts the source `kubelet` as a task.
pub(super) fn spawn(site: &Site, config: Config, healthz: &Arc<Healthz>) {
    let (outlet, healthz) = (site.outlet(Source::Kubelet), Arc::clone(healthz));
    site.task(&outlet.clone(), move || run(outlet.clone(), config.clone(), healthz.subscribe()));
}

async fn run(outlet: Outlet, config: Config, healthz: watch::Receiver<Option<Result<Answer, String>>>) -> Infallible {
    let Some(url) = &config.url else {
        outlet.health(Health::Absent(health::health_kubelet_no_address().into())).await;
        return pending().await;
    };
    let mut delays = Backoff::new(CLIENT.0, CLIENT.1);
    let client = loop {
        match Client::new(url, &config).await {
            Ok(client) => break client,
            // Its files may be written later than the agent is started.
            Err(reason) => outlet.health(Health::Absent(reason.into())).await,
        }
        sleep(delays.next()).await;
    };
    Kubelet::new(client, outlet).watch(healthz).await
}

struct Kubelet {
    client: Client,
    outlet: Outlet,
    /// What `/healthz` came to last.
    answer: Option<Answer>,
    /// What is wrong with its certificate, if something is.
    untrusted: Option<String>,
    configz: Endpoint,
    pods: Endpoint,
    summary: Endpoint,
}

impl Kubelet {
    fn new(client: Client, outlet: Outlet) -> Self {
        let [configz, pods, summary] = [("/configz", CONFIG), ("/pods", PODS), ("/stats/summary", SUMMARY)]
            .map(|(path, interval)| Endpoint::new(path, interval));
        Self { client, outlet, answer: None, untrusted: None, configz, pods, summary }
    }

    async fn watch(mut self, mut healthz: watch::Receiver<Option<Result<Answer, String>>>) -> Infallible {
        loop {
            let now = Instant::now();
            let latest = healthz.borrow_and_update().clone();
            if let Some(latest) = latest {
                self.take_health(latest);
            }
            // Who does not answer is not asked for more.
            if self.answer == Some(Answer::Ok) {
                if self.configz.is_due(now) {
                    let answer = self.client.get::<Configz>(self.configz.path).await;
                    let configz = self.configz.answered(answer, now).map(|answer| answer.kubeletconfig);
                    self.report(configz.map(Fact::KubeletConfig)).await;
                }
                if self.pods.is_due(now) {
                    let answer = self.client.get::<PodList>(self.pods.path).await;
                    let pods = self.pods.answered(answer, now).map(PodList::into_pods);
                    self.report(pods.into_iter().flatten().map(|pod| Fact::KubeletPod(Box::new(pod)))).await;
                    // A list of all pods takes some MiB while it is read, and so does what reads it.
                    footprint::release();
                }
                if self.summary.is_due(now) {
                    let answer = self.client.get::<Summary>(self.summary.path).await;
                    let summary = self.summary.answered(answer, now);
                    self.report(summary.map(|summary| Fact::KubeletSummary(Box::new(summary)))).await;
                }
            }
            self.outlet.health(self.health()).await;
            select! {
                () = sleep_until(now + LOOK) => {}
                // Its sender lives as long as the agent.
                Ok(()) = healthz.changed() => {}
            }
        }
    }

    fn take_health(&mut self, answer: Result<Answer, String>) {
        let answer = match answer {
            Ok(answer) => answer,
            // Who answered is not known: nothing is reported of the kubelet.
            Err(why) => {
                (self.answer, self.untrusted) = (None, Some(why));
                return;
            }
        };
        self.untrusted = None;
        if self.answer.as_ref() == Some(&answer) {
            return;
        }
        if answer == Answer::Ok {
            // It may be another kubelet than before.
            for endpoint in [&mut self.configz, &mut self.pods, &mut self.summary] {
                endpoint.start_over();
            }
        }
        self.answer = Some(answer);
    }

    fn health(&self) -> Health {
        if let Some(why) = &self.untrusted {
            return Health::Degraded(health::health_kubelet_untrusted(why).into());
        }
        match &self.answer {
            None => Health::Absent(health::health_kubelet_not_asked().into()),
            Some(Answer::Denied(answer) | Answer::Unwell(answer)) => {
                Health::Degraded(health::health_kubelet_unwell(answer.clone().phrase()).into())
            }
            Some(Answer::Refused(_)) => Health::Degraded(health::health_kubelet_refuses().into()),
            Some(Answer::Timeout) => Health::Degraded(health::health_kubelet_hangs(HEALTH_DEADLINE).into()),
            Some(Answer::Ok) => {
                let endpoints = [&self.configz, &self.pods, &self.summary].into_iter();
                let failures: Vec<_> = endpoints.filter_map(|endpoint| endpoint.failure.clone()).collect();
                if failures.is_empty() {
                    Health::Ok
                } else {
                    Health::Degraded(health::health_kubelet_partly(failures).into())
                }
            }
        }
    }

    async fn report(&self, facts: impl IntoIterator<Item = Fact>) {
        for fact in facts {
            let _going_away = self.outlet.send(self.outlet.now(fact)).await;
        }
    }
}
