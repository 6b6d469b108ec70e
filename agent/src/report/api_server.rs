//! The way to the API server, step by step: name, connection, TLS, /readyz. Probed only while the agent's own watches
//! are broken, so that a healthy API server sees nothing of it. Its clock is known by its answers to those watches. A
//! probe that fails while the agent itself gets no processor shows nothing.

use std::{convert::Infallible, error::Error, path::PathBuf, pin::pin, time::Duration};

use coroner_diagnosis::{
    messages::health,
    observation::{
        Fact, Reason,
        kube::Kind,
        node::{ApiServer, Reading, Reference, Step},
    },
    text,
};
use coroner_proto::v1::{ApiServerAccess, ApiServerStep, SourceHealth};
use coroner_runtime::{clock::LATE, error::chain};
use http::Request;
use hyper_util::client::legacy;
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use tokio::{
    net::{TcpStream, lookup_host},
    select,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{NodeState, wire_duration};
use crate::{
    sources::outlet::Outlet,
    status::{Board, wire_time},
};

/// Time between two probes, and between two looks whether one is due.
const INTERVAL: Duration = Duration::from_secs(3);
/// How long each step may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// Time between two looks at the clock during a probe.
const LOOK: Duration = Duration::from_millis(200);
/// Offsets between clocks that differ by less are one: the API server's is known to the second.
const SAME: SignedDuration = SignedDuration::from_secs(2);
/// One is reported again after so many rounds.
const REPEATED: u32 = 20;
/// Bytes of an error.
const ERROR_MAX: usize = 256;

/// The task that probes the API server while its watches are broken.
#[derive(Clone, Debug)]
pub struct Probe {
    /// How it is reached, if not as in a pod.
    pub kubeconfig: Option<PathBuf>,
    /// The board that shows whether the watches work.
    pub board: Board,
    /// The state that the report is made of.
    pub state: NodeState,
    /// The outlet to the examiner.
    pub outlet: Outlet,
}

impl Probe {
    /// Probes when it is due, until it is stopped.
    ///
    /// # Errors
    /// Never: what fails is what is reported.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut failed = false;
        let mut compared = Compared::default();
        while stop.run_until_cancelled(sleep(INTERVAL)).await.is_some() {
            let theirs = self.state.api_clock.now();
            if let Some(offset) = theirs.and_then(|theirs| compared.news(Timestamp::now().duration_since(theirs))) {
                self.compare_clocks(offset).await;
            }
            if !failed && !self.is_stale() {
                continue;
            }
            let Some((Some(reached), late)) = stop.run_until_cancelled(with_lateness(self.probe())).await else {
                continue;
            };
            if reached.failed.is_some() && late > LATE {
                continue;
            }
            if failed || reached.failed.is_some() {
                self.report(reached.clone()).await;
            }
            failed = reached.failed.is_some();
        }
        Ok(())
    }

    /// Whether a watch that the agent has of the API server is broken.
    fn is_stale(&self) -> bool {
        let of_node = [Kind::Pods, Kind::Nodes].map(Kind::name);
        let broken = |health| matches!(health, SourceHealth::Degraded | SourceHealth::Absent);
        self.board.sources().iter().any(|status| of_node.contains(&status.source.as_str()) && broken(status.health()))
    }

    /// `None` where there is no API server to reach.
    async fn probe(&self) -> Option<ApiServer> {
        let config = coroner_watch::config(self.kubeconfig.as_deref()).await.ok()?;
        let host = config.cluster_url.host()?.trim_matches(['[', ']']).to_owned();
        let port = config.cluster_url.port_u16().unwrap_or(443);
        let failed = self.steps(&host, port, config).await.err();
        Some(ApiServer { address: text::clean(&format!("{host}:{port}"), ERROR_MAX), failed })
    }

    async fn steps(&self, host: &str, port: u16, mut config: kube::Config) -> Result<(), (Step, Reason)> {
        let late = |limit: Duration| Reason::from(health::health_silent(limit));
        let quote = |error: &dyn Error| Reason::quote(text::clean(&chain(error), ERROR_MAX));
        let found = timeout(DEADLINE, lookup_host((host, port))).await.map_err(|_| (Step::Dns, late(DEADLINE)))?;
        let addresses: Vec<_> = found.map_err(|error| (Step::Dns, quote(&error)))?.collect();
        let connected = timeout(DEADLINE, TcpStream::connect(addresses.as_slice())).await;
        connected.map_err(|_| (Step::Tcp, late(DEADLINE)))?.map_err(|error| (Step::Tcp, quote(&error)))?;
        config.connect_timeout = Some(DEADLINE);
        let client = kube::Client::try_from(config).map_err(|error| (Step::Tls, quote(&error)))?;
        let request = Request::get("/readyz").body(Body::empty()).map_err(|error| (Step::Ready, quote(&error)))?;
        let asked = Timestamp::now();
        // Connection and TLS have a deadline of their own.
        let answer =
            timeout(DEADLINE * 2, client.send(request)).await.map_err(|_| (Step::Ready, late(DEADLINE * 2)))?;
        let step = |error: &kube::Error| if is_of_connection(error) { Step::Tls } else { Step::Ready };
        let answer = answer.map_err(|error| (step(&error), quote(&error)))?;
        if let Some(theirs) = coroner_watch::date(&answer) {
            self.compare_clocks(asked.duration_since(theirs)).await;
        }
        if answer.status().is_server_error() {
            Err((Step::Ready, health::health_status(answer.status().to_string()).into()))
        } else {
            Ok(())
        }
    }

    async fn compare_clocks(&self, offset: SignedDuration) {
        self.state.update(|report| report.api_server_clock_offset = Some(wire_duration(offset)));
        let reading = Fact::Node(Reading::Clock(Reference::ApiServer, offset));
        let _going_away = self.outlet.send(self.outlet.now(reading)).await;
    }

    async fn report(&self, reached: ApiServer) {
        let now = wire_time(Timestamp::now());
        self.state.change(|report| {
            let before = report.api_server.take().unwrap_or_default();
            let step = reached.failed.as_ref().map_or(ApiServerStep::Unspecified, |(step, _)| on_the_wire(*step));
            let error = reached.failed.as_ref().map(|(_, error)| error.on_the_wire());
            let (error, error_message) = error.unwrap_or_default();
            report.api_server = Some(ApiServerAccess {
                address: reached.address.clone(),
                failed_step: step.into(),
                error,
                error_message,
                unreachable_since_time: reached.failed.as_ref().map(|_| before.unreachable_since_time.unwrap_or(now)),
            });
        });
        let reading = Fact::Node(Reading::ApiServer(reached));
        let _going_away = self.outlet.send(self.outlet.now(reading)).await;
    }
}

/// Gives what `of` gives, and how late this task noticed meanwhile that a time had come, at worst.
async fn with_lateness<T>(of: impl Future<Output = T>) -> (T, Duration) {
    let mut of = pin!(of);
    let mut worst = Duration::ZERO;
    loop {
        let due = Instant::now() + LOOK;
        select! {
            biased;
            () = sleep_until(due) => worst = worst.max(due.elapsed()),
            done = &mut of => return (done, worst.max(due.elapsed())),
        }
    }
}

/// The offset to the API server's clock that was reported last, and in how many rounds it has not been since.
#[derive(Debug, Default)]
struct Compared(Option<(SignedDuration, u32)>);

impl Compared {
    /// The offset, if it is another, or was not reported for a while.
    fn news(&mut self, offset: SignedDuration) -> Option<SignedDuration> {
        match &mut self.0 {
            Some((last, rounds)) if (*last - offset).abs() < SAME && *rounds < REPEATED => {
                *rounds += 1;
                None
            }
            known => {
                *known = Some((offset, 0));
                Some(offset)
            }
        }
    }
}

/// Whether a request failed before there was a connection to send it over.
fn is_of_connection(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<legacy::Error>() {
            return error.is_connect();
        }
        next = error.source();
    }
    false
}

fn on_the_wire(step: Step) -> ApiServerStep {
    match step {
        Step::Dns => ApiServerStep::Dns,
        Step::Tcp => ApiServerStep::Tcp,
        Step::Tls => ApiServerStep::Tls,
        Step::Ready => ApiServerStep::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_got_no_processor_knows_it() {
        let (_, late) = with_lateness(async {
            sleep(LOOK / 2).await;
            // As if another process had it.
            std::thread::sleep(LOOK + LATE);
            sleep(LOOK / 2).await;
        })
        .await;
        assert!(late >= LATE, "{late:?}");
        tokio::time::pause();
        let (_, late) = with_lateness(sleep(LATE * 10)).await;
        assert!(late < LATE, "{late:?}");
    }

    #[test]
    fn an_offset_is_reported_when_it_changes_and_now_and_then() {
        let mut compared = Compared::default();
        let seconds = SignedDuration::from_secs;
        assert_eq!(compared.news(seconds(0)), Some(seconds(0)));
        assert_eq!(compared.news(seconds(1)), None);
        assert_eq!(compared.news(seconds(90)), Some(seconds(90)));
        let again = (0..=REPEATED).filter_map(|_| compared.news(seconds(90))).count();
        assert_eq!(again, 1);
    }
}
