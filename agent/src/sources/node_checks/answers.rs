//! Whether kubelet and runtime answer: GET /healthz of the one, the call Version of the other, each within a deadline.

use std::{convert::Infallible, fs, future::pending, os::unix::fs::MetadataExt, sync::Arc, time::Duration};

use coroner_diagnosis::observation::{
    Reason,
    node::{Answer, Daemon, Reading},
};
use coroner_runtime::clock::LATE;
use k8s_cri::v1::{VersionRequest, runtime_service_client::RuntimeServiceClient};
use tokio::{
    select,
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};
use tonic::transport::Channel;

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
const INTERVAL: Duration = Duration::from_secs(2);
/// How long an answer may take.
pub(super) const DEADLINE: Duration = kubelet::HEALTH_DEADLINE;
/// A kubelet whose client cannot be made is tried again after this time.
const CLIENT: Duration = Duration::from_secs(10);

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
            results.answered(Daemon::Kubelet, answer, &mut last).await;
        }
        results.wait(asked).await;
    }
}

async fn ask_runtime(socket: Socket, results: Results) -> Infallible {
    if socket == Socket::Off {
        return pending().await;
    }
    let (mut last, mut was_there) = (None, false);
    let mut runtime = Runtime { socket, kept: None };
    loop {
        let asked = Instant::now();
        let answer = match timeout(DEADLINE, runtime.version()).await {
            Ok(Ok(())) => Some(Answer::Ok),
            Err(_) | Ok(Err(RuntimeError::Deadline { .. })) => Some(Answer::Timeout),
            // No answer of the runtime: this agent may not ask it. The source `cri` reports why.
            Ok(Err(error)) if error.is_ours() => None,
            // Never having had a socket is no fault of a runtime, which may have it where this agent does not look.
            Ok(Err(RuntimeError::NoSocket(_))) if !was_there => None,
            Ok(Err(error @ (RuntimeError::Connect { .. } | RuntimeError::NoSocket(_)))) => {
                Some(Answer::Refused(error.reason()))
            }
            Ok(Err(RuntimeError::Call { status, .. })) if status.code() == tonic::Code::Unavailable => {
                Some(Answer::Refused(Reason::quote(status.message())))
            }
            Ok(Err(error)) => Some(Answer::Unwell(error.reason())),
        };
        if let Some(answer) = answer {
            was_there = true;
            if answer != Answer::Timeout || !is_late(asked) {
                results.answered(Daemon::Runtime, answer, &mut last).await;
            }
        }
        results.wait(asked).await;
    }
}

/// Whether a deadline that began then was noticed too late to show anything.
fn is_late(asked: Instant) -> bool {
    asked.elapsed() > DEADLINE + LATE
}

/// The runtime, over a connection that is kept while its socket is the same file: a connection outlives that.
struct Runtime {
    socket: Socket,
    kept: Option<(FileId, Channel)>,
}

/// Device and inode.
type FileId = (u64, u64);

impl Runtime {
    async fn version(&mut self) -> Result<(), RuntimeError> {
        let address = self.socket.find("CRI")?;
        let file = address.strip_prefix("unix://").and_then(|path| fs::metadata(path).ok());
        let file = file.map(|file| (file.dev(), file.ino()));
        let kept = self.kept.take().filter(|(of, _)| Some(*of) == file);
        // One that answers no more may have been started again.
        if let Some((of, channel)) = kept
            && Self::ask(channel.clone()).await.is_ok()
        {
            self.kept = Some((of, channel));
            return Ok(());
        }
        let channel = connection::connect(&address).await?;
        Self::ask(channel.clone()).await?;
        self.kept = file.map(|file| (file, channel));
        Ok(())
    }

    async fn ask(channel: Channel) -> Result<(), RuntimeError> {
        let mut client = RuntimeServiceClient::new(channel);
        let asked = client.version(VersionRequest { version: "v1".to_owned() });
        connection::answer("Version", asked).await.map(|_version| ())
    }
}

impl Results {
    /// Reports an answer that is another than before, and that all is well also after a process has changed.
    async fn answered(&self, daemon: Daemon, answer: Answer, last: &mut Option<Answer>) {
        self.state.change(|report| record_answer(report, daemon, &answer));
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

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use coroner_diagnosis::observation::{Fact, Source};
    use tokio::sync::mpsc;

    use super::*;
    use crate::sources::outlet::CAPACITY;

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_this_agent_may_not_see_shows_nothing_of_the_runtime() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("run");
        // A link to itself stands for a directory that may not be searched: root may search every one.
        let hide = || symlink(&directory, &directory).unwrap();
        let (sender, mut facts) = mpsc::channel(CAPACITY);
        let results = Results {
            outlet: Outlet::new(Source::NodeChecks, sender),
            state: NodeState::default(),
            woken: Arc::default(),
            healthz: Arc::default(),
        };
        let asking = tokio::spawn(ask_runtime(Socket::first_of(root.path(), &["run/containerd.sock"]), results));
        let refusal = |fact| match fact {
            Fact::Node(Reading::Answer(Daemon::Runtime, Answer::Refused(reason))) => reason,
            other => panic!("{other:?}"),
        };

        hide();
        sleep(INTERVAL * 3).await;
        assert!(facts.is_empty(), "{:?}", facts.recv().await);

        // A file to which no program listens.
        fs::remove_file(&directory).unwrap();
        fs::create_dir(&directory).unwrap();
        drop(UnixListener::bind(directory.join("containerd.sock")).unwrap());
        let refused = refusal(facts.recv().await.unwrap().fact);

        fs::remove_dir_all(&directory).unwrap();
        hide();
        sleep(INTERVAL * 3).await;
        assert!(facts.is_empty(), "{:?}", facts.recv().await);

        // There is none, where there was one.
        fs::remove_file(&directory).unwrap();
        assert_ne!(refusal(facts.recv().await.unwrap().fact), refused);
        asking.abort();
    }
}
