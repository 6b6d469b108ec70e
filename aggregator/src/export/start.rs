//! Starts exporters, each as a supervised task: one that fails is started again, from its cursor.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};

use coroner_runtime::tasks::{Group, Need};

use super::{
    counters::Counters,
    cursor::{Cursor, CursorFile},
    error::Error,
    runner::Runner,
    setup::Setup,
    sink::{self, Sink},
    target::{Destination, Target},
};
use crate::{
    lease,
    messages::{problem, start},
};

/// A running exporter: where it sends to, and how far it has come.
#[derive(Clone, Debug)]
pub struct Exporter {
    /// The destination of the exporter.
    pub target: Target,
    /// The counters and the state of the exporter.
    pub counters: Arc<Counters>,
}

/// The name of its task, in logs and metrics: `exporter/siem`.
pub fn task_name(target: &Target) -> String {
    format!("exporter/{}", target.name)
}

/// Starts one exporter.
///
/// # Errors
/// If its cursor cannot be read or written.
pub async fn start(setup: &Setup, target: Target, tasks: &Group) -> Result<Exporter, Error> {
    match target.destination.clone() {
        Destination::Events => {
            let client = setup.cluster.clone().ok_or_else(|| problem(start::export_no_cluster()))?;
            start_with(setup, target, move || sink::Events::new(client.clone()), tasks).await
        }
        Destination::Lines(lines) => start_with(setup, target, move || sink::Lines::new(lines.clone()), tasks).await,
        Destination::Nats(nats) => start_with(setup, target, move || sink::Nats::new(nats.clone()), tasks).await,
        Destination::Otlp(otlp) => start_with(setup, target, move || sink::Otlp::new(otlp.clone()), tasks).await,
        Destination::Syslog(to) => start_with(setup, target, move || sink::Syslog::new(to.clone()), tasks).await,
        Destination::Webhook(to) => start_with(setup, target, move || sink::Webhook::new(to.clone()), tasks).await,
    }
}

async fn start_with<S: Sink>(
    setup: &Setup,
    target: Target,
    sink: impl Fn() -> S + Send + 'static,
    tasks: &Group,
) -> Result<Exporter, Error> {
    make_directory(&setup.directory)?;
    let exporter = Exporter { target: target.clone(), counters: Arc::default() };
    let (setup, counters) = (setup.clone(), Arc::clone(&exporter.counters));
    let name = task_name(&target);
    if let Some(state) = setup.ledger.state().cloned() {
        tasks.restarting(name, Need::Optional, move |stop| {
            let (setup, target, state) = (setup.clone(), target.clone(), state.clone());
            let (counters, sink) = (Arc::clone(&counters), sink());
            async move {
                let Some(turn) = lease::turn(&state, &format!("export.{}", target.name), &stop).await else {
                    return Ok(());
                };
                let (cursor, over) = (Cursor::Leased(turn.lease.clone()), turn.over.clone());
                let ended = match Runner::open(&setup, target, sink, cursor, counters, over).await {
                    Ok(runner) => runner.run().await,
                    Err(error) => Err(error),
                };
                turn.end().await;
                ended
            }
        });
        return Ok(exporter);
    }
    let open = move |stop| {
        let (setup, target) = (setup.clone(), target.clone());
        let (counters, sink) = (Arc::clone(&counters), sink());
        async move {
            let cursor = Cursor::File(CursorFile::new(&setup.directory, &target.name));
            Runner::open(&setup, target, sink, cursor, counters, stop).await
        }
    };
    // What is wrong from the beginning is not tried again.
    let mut first = Some(open(tasks.stop_token().clone()).await?);
    tasks.restarting(name, Need::Optional, move |stop| {
        let (first, again) = (first.take(), open(stop));
        async move {
            match first {
                Some(runner) => runner.run().await,
                None => again.await?.run().await,
            }
        }
    });
    Ok(exporter)
}

fn make_directory(directory: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| Error::of_file("create", directory, &error))
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
        time::Duration,
    };

    use coroner_proto::v1::{ExporterState, GetStatusResponse};

    use coroner_runtime::{backoff::Pace, metrics::Metrics, tasks::Supervisor};
    use tokio::time::{sleep, timeout};

    use super::{
        super::{
            item::Item,
            sink::{Refused, Taken},
        },
        *,
    };
    use crate::{
        auth::Refusals,
        ledger::{Entry, Ledger, Push, Retention},
        nodes::Nodes,
        status::Status,
    };

    /// Panics while it is broken.
    struct Faulty {
        is_broken: Arc<AtomicBool>,
        taken: Arc<Mutex<Vec<String>>>,
    }

    impl Sink for Faulty {
        async fn send(&mut self, batch: &[Item]) -> Result<Taken, Refused> {
            assert!(!self.is_broken.load(Relaxed), "a fault of the sink");
            self.taken.lock().unwrap().extend(batch.iter().map(|item| item.id.clone()));
            Ok(Taken::default())
        }
    }

    /// The status, once an exporter is in this state.
    async fn status_when(status: &Status, state: ExporterState) -> GetStatusResponse {
        let waiting = async {
            loop {
                let shown = status.get(true).await.unwrap();
                if shown.exporters[0].state() == state {
                    return shown;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), waiting).await.expect("it becomes so")
    }

    #[tokio::test]
    async fn an_exporter_that_panics_is_reported_and_started_again_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let retention = Retention { age: Duration::from_secs(86_400), bytes: 1 << 30 };
        let (ledger, _writer) = Ledger::open(&directory.path().join("ledger.db"), retention).unwrap();
        let ledger = Arc::new(ledger);
        let gap = prost::Message::encode_to_vec(&crate::gap::of_corrupt_record(1));
        let entries = vec![Entry { sequence: 1, identity: None, body: gap }];
        let push = Push { node: "n1".into(), stream_id: "o".into(), acknowledge: 1, entries, ..Push::default() };
        ledger.append(push).await.unwrap();
        ledger.filed().await;

        let supervisor = Supervisor::new(&Metrics::default());
        let tasks = supervisor.group();
        let setup = Setup {
            ledger: Arc::clone(&ledger),
            directory: directory.path().join("export"),
            cluster: None,
            pace: Pace::default(),
        };
        let (is_broken, taken) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let sink = {
            let (is_broken, taken) = (Arc::clone(&is_broken), Arc::clone(&taken));
            move || Faulty { is_broken: Arc::clone(&is_broken), taken: Arc::clone(&taken) }
        };
        let target: Target = "stdout:?name=siem".parse().unwrap();
        let exporter = start_with(&setup, target, sink, &tasks).await.unwrap();
        let status = Status {
            ledger,
            nodes: Arc::new(Nodes::default()),
            tls: None,
            refusals: Arc::new(Refusals::default()),
            exporters: vec![exporter],
            supervisor: supervisor.clone(),
        };
        let shown = status_when(&status, ExporterState::Failed).await;
        assert_eq!(shown.exporters[0].reason, "it panicked: a fault of the sink");
        let ids = [&shown.exporters[0].reason_message, &shown.tasks[0].reason_message];
        assert!(ids.iter().all(|message| message.as_ref().is_some_and(|of| of.id == "task_panicked")), "{shown:?}");
        assert!(!shown.tasks[0].is_running && supervisor.is_ready(), "agents can push all the same");
        is_broken.store(false, Relaxed);
        let shown = status_when(&status, ExporterState::Delivering).await;
        assert!(shown.tasks[0].is_running && shown.tasks[0].restart_count >= 1, "{shown:?}");
        assert_eq!((shown.exporters[0].sent_count, &*shown.exporters[0].reason), (1, ""));
        assert_eq!(taken.lock().unwrap().len(), 1, "nothing is left out");
        assert!(tasks.stop(Duration::from_secs(5)).await.is_empty());
    }
}
