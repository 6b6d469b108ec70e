//! The kubelet's HTTP endpoints, each under a permission of its own (`pkg/kubelet/server/auth.go`): `/pods`, `/stats/summary`,
//! `/configz` and `/healthz`. `nodes/proxy`, which would let the agent run commands in every pod, is never needed.
//!
//! The kubelet cannot notify, so it is asked now and then; each question has a deadline, and answers are bounded. `/healthz` says
//! whether the kubelet is well. Another endpoint that does not answer while it is degrades the source for as long as that lasts:
//! collecting `/stats/summary` can be slow on a kubelet that does its work.

mod client;
mod endpoint;
mod pod_list;

use std::{convert::Infallible, future::pending, time::Duration};

use coroner_diagnosis::{
    observation::{
        Fact, Health, Source,
        kubelet::{Answer, Configz, Summary},
    },
    text,
};
use coroner_runtime::backoff::Backoff;
use tokio::time::{Instant, sleep, sleep_until};

pub use self::client::Config;
use self::{
    client::{Client, Failure},
    endpoint::Endpoint,
    pod_list::PodList,
};
use super::{outlet::Outlet, site::Site};

/// Time between two questions whether it is well.
const HEALTH: Duration = Duration::from_secs(5);
/// Usage; the kubelet measures every ten seconds.
const SUMMARY: Duration = Duration::from_secs(15);
/// Its pods: the API server's watch is the main road to them.
const PODS: Duration = Duration::from_secs(30);
/// Its configuration, which changes only with a restart.
const CONFIG: Duration = Duration::from_mins(10);
/// The first delay before a client that could not be made is tried again, and the longest.
const CLIENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Starts the source.
pub fn spawn(site: &Site, config: Config) {
    let outlet = site.outlet(Source::Kubelet);
    site.task(&outlet.clone(), move || run(outlet.clone(), config.clone()));
}

async fn run(outlet: Outlet, config: Config) -> Infallible {
    let Some(url) = &config.url else {
        let reason = "the node's address is not known: set --kubelet-url or NODE_IP";
        outlet.health(Health::Absent(reason.to_owned())).await;
        return pending().await;
    };
    let mut delays = Backoff::new(CLIENT.0, CLIENT.1);
    let client = loop {
        match Client::new(url, &config).await {
            Ok(client) => break client,
            // Its files may be written later than the agent is started.
            Err(reason) => outlet.health(Health::Absent(reason)).await,
        }
        sleep(delays.next()).await;
    };
    Kubelet::new(client, outlet).watch().await
}

struct Kubelet {
    client: Client,
    outlet: Outlet,
    /// What `/healthz` came to last.
    answer: Option<Answer>,
    configz: Endpoint,
    pods: Endpoint,
    summary: Endpoint,
}

impl Kubelet {
    fn new(client: Client, outlet: Outlet) -> Self {
        let [configz, pods, summary] = [("/configz", CONFIG), ("/pods", PODS), ("/stats/summary", SUMMARY)]
            .map(|(path, interval)| Endpoint::new(path, interval));
        Self { client, outlet, answer: None, configz, pods, summary }
    }

    async fn watch(mut self) -> Infallible {
        loop {
            let now = Instant::now();
            self.ask_health().await;
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
                }
                if self.summary.is_due(now) {
                    let answer = self.client.get::<Summary>(self.summary.path).await;
                    let summary = self.summary.answered(answer, now);
                    self.report(summary.map(|summary| Fact::KubeletSummary(Box::new(summary)))).await;
                }
            }
            self.outlet.health(self.health()).await;
            sleep_until(now + HEALTH).await;
        }
    }

    async fn ask_health(&mut self) {
        let answer = match self.client.bytes("/healthz").await {
            Ok(said) if said.trim_ascii() == b"ok" => Answer::Ok,
            Ok(said) => Answer::Unwell(text::clean(&String::from_utf8_lossy(&said), 256)),
            Err(Failure::Timeout) => Answer::Timeout,
            Err(Failure::Client(::kube::Error::HyperError(_) | ::kube::Error::Service(_))) => Answer::Refused,
            Err(failure) => Answer::Unwell(failure.reason()),
        };
        if self.answer.as_ref() == Some(&answer) {
            return;
        }
        if answer == Answer::Ok {
            // It may be another kubelet than before.
            for endpoint in [&mut self.configz, &mut self.pods, &mut self.summary] {
                endpoint.begin_anew();
            }
        }
        self.answer = Some(answer.clone());
        self.report([Fact::KubeletHealth(answer)]).await;
    }

    fn health(&self) -> Health {
        match &self.answer {
            None => Health::Absent("not asked yet".to_owned()),
            Some(Answer::Unwell(reason)) => Health::Degraded(format!("/healthz: {reason}")),
            Some(Answer::Refused) => Health::Degraded("it refuses connections".to_owned()),
            Some(Answer::Timeout) => Health::Degraded(format!("it hangs: /healthz: {}", Failure::Timeout)),
            Some(Answer::Ok) => {
                let failures: Vec<_> =
                    [&self.configz, &self.pods, &self.summary].into_iter().filter_map(Endpoint::failure).collect();
                if failures.is_empty() {
                    Health::Ok
                } else {
                    Health::Degraded(format!("it is well, but {}", failures.join("; ")))
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
