//! Whether kubelet and runtime answer: GET /healthz of the one, the call Version of the other, each within a deadline.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use coroner_diagnosis::observation::{
    Reason,
    node::{Answer, Daemon, Reading},
};
use k8s_cri::v1::{VersionRequest, runtime_service_client::RuntimeServiceClient};
use tokio::{
    select,
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{fact, record_answer};
use crate::{
    report::NodeState,
    sources::{
        Settings,
        connection::{self, RuntimeError},
        kubelet::{self, Client, Healthz},
        outlet::Outlet,
        site::Site,
        socket::Socket,
    },
};

/// Time from one question to the next. With the deadline, a daemon that hangs is known within five seconds.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
pub(super) const DEADLINE: Duration = kubelet::HEALTH_DEADLINE;
/// A kubelet whose client cannot be made is tried again after this time.
const CLIENT: Duration = Duration::from_secs(10);
/// An answer that came so much later than its deadline shows that the agent itself got no processor: it is no statement
/// about who was asked.
const LATE: Duration = Duration::from_millis(700);

pub(super) fn spawn(
    site: &Site,
    outlet: &Outlet,
    settings: &Settings,
    state: NodeState,
    woken: Arc<Notify>,
    healthz: Arc<Healthz>,
) {
    let (kubelet, cri, outlet_of) = (settings.kubelet.clone(), settings.cri.clone(), outlet.clone());
    site.task(outlet, move || {
        let (woken, healthz) = (Arc::clone(&woken), Arc::clone(&healthz));
        let results = Results { outlet: outlet_of.clone(), state: state.clone(), woken, healthz };
        run(kubelet.clone(), cri.clone(), results)
    });
}

#[derive(Clone)]
struct Results {
    outlet: Outlet,
    state: NodeState,
    woken: Arc<Notify>,
    /// For the source `kubelet`.
    healthz: Arc<Healthz>,
}

async fn run(config: kubelet::Config, socket: Socket, results: Results) -> Infallible {
    let (never, _) = tokio::join!(ask_kubelet(config, results.clone()), ask_runtime(socket, results));
    never
}

async fn ask_kubelet(config: kubelet::Config, results: Results) -> Infallible {
    let Some(url) = config.url.clone() else { return pending().await };
    let client = loop {
        match Client::new(&url, &config).await {
            Ok(client) => break client,
            // The source `kubelet` reports why.
            Err(_) => sleep(CLIENT).await,
        }
    };
    let mut last = None;
    loop {
        let asked = Instant::now();
        let health = client.health().await;
        if matches!(health, Ok(Answer::Timeout)) && is_late(asked) {
            continue;
        }
        results.healthz.send_if_modified(|last| {
            let is_new = last.as_ref() != Some(&health);
            *last = Some(health.clone());
            is_new
        });
        if let Ok(answer) = health {
            results.answered(Daemon::Kubelet, answer, false, asked, &mut last).await;
        }
        results.wait(asked).await;
    }
}

async fn ask_runtime(socket: Socket, results: Results) -> Infallible {
    if socket == Socket::Off {
        return pending().await;
    }
    let (mut last, mut was_there) = (None, false);
    loop {
        let asked = Instant::now();
        let answer = timeout(DEADLINE, version(&socket)).await;
        was_there |= !matches!(answer, Ok(Err(RuntimeError::NoSocket(_))));
        let answer = match answer {
            Ok(Ok(())) => Some(Answer::Ok),
            Err(_) | Ok(Err(RuntimeError::Deadline { .. })) => Some(Answer::Timeout),
            // Never having had a socket is no fault of a runtime.
            Ok(Err(error @ (RuntimeError::Connect { .. } | RuntimeError::NoSocket(_)))) => {
                Some(Answer::Refused(error.reason()))
            }
            Ok(Err(RuntimeError::Call { status, .. })) if status.code() == tonic::Code::Unavailable => {
                Some(Answer::Refused(Reason::quote(status.message())))
            }
            Ok(Err(error)) => Some(Answer::Unwell(error.reason())),
        };
        if let Some(answer) = answer {
            results.answered(Daemon::Runtime, answer, !was_there, asked, &mut last).await;
        }
        results.wait(asked).await;
    }
}

/// Whether a deadline that began then was noticed too late to show anything.
fn is_late(asked: Instant) -> bool {
    asked.elapsed() > DEADLINE + LATE
}

/// By a connection of its own each time: one that stands outlives the socket's file.
async fn version(socket: &Socket) -> Result<(), RuntimeError> {
    let channel = connection::connect(&socket.find("CRI")?).await?;
    let mut client = RuntimeServiceClient::new(channel);
    let asked = client.version(VersionRequest { version: "v1".to_owned() });
    connection::answer("Version", asked).await.map(|_version| ())
}

impl Results {
    /// Reports an answer that is another than before, and that all is well also after a process has changed. The report
    /// of the node leaves out a daemon that is absent: a node may be without one.
    async fn answered(
        &self,
        daemon: Daemon,
        answer: Answer,
        is_absent: bool,
        asked: Instant,
        last: &mut Option<Answer>,
    ) {
        if answer == Answer::Timeout && is_late(asked) {
            return;
        }
        self.state.change(|report| {
            if !is_absent {
                record_answer(report, daemon, &answer);
            }
        });
        let is_new = last.as_ref() != Some(&answer);
        *last = Some(answer.clone());
        if is_new || matches!(answer, Answer::Ok | Answer::Denied(_)) {
            let _going_away = self.outlet.send(self.outlet.now(fact(Reading::Answer(daemon, answer)))).await;
        }
    }

    /// Waits for the next question. When a process has come or gone, it is asked at once.
    async fn wait(&self, asked: Instant) {
        select! {
            () = sleep_until(asked + INTERVAL) => {}
            () = self.woken.notified() => {}
        }
    }
}
