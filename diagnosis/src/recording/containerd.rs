//! What containerd reported: `containerd_events`, in the text form of `ctr events`.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Context, Facts, Problem, cri};
use crate::observation::Fact;
use crate::observation::containerd::{TaskEvent, TaskEventKind};
use crate::observation::cri::ContainerId;
use crate::parse::ParseError;

/// The namespace of containerd that the kubelet's containers live in.
const NAMESPACE: &str = "k8s.io";

#[derive(Deserialize)]
pub(super) struct Event {
    line: String,
}

/// Fields of all the events of tasks. Zero is not written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Task {
    container_id: String,
    id: String,
    exec_id: String,
    pid: i32,
    exit_status: u32,
    #[serde(deserialize_with = "cri::time")]
    exited_at: Option<Timestamp>,
}

/// `{"line": "<date> <time> <offset> <zone> <namespace> <topic> <JSON>"}`.
pub(super) fn events(_: &Context<'_>, row: Event) -> Result<Facts, Problem> {
    let error = || ParseError::new("an event of containerd: time, namespace, topic, JSON", &row.line);
    let mut words = row.line.splitn(7, ' ');
    let mut word = || words.next().ok_or_else(error);
    let (date, time, offset, _zone, namespace, topic, event) =
        (word()?, word()?, word()?, word()?, word()?, word()?, word()?);
    let at: Timestamp = format!("{date}T{time}{offset}").parse().map_err(|_| error())?;
    if namespace != NAMESPACE {
        return Ok(Facts::new());
    }
    let task = || serde_json::from_str::<Task>(event);
    let (container_id, kind) = match topic {
        "/tasks/start" => {
            let task = task()?;
            (task.container_id, TaskEventKind::Start { pid: task.pid })
        }
        "/tasks/exec-started" => {
            let task = task()?;
            (task.container_id, TaskEventKind::ExecStarted { exec_id: task.exec_id, pid: task.pid })
        }
        "/tasks/oom" => (task()?.container_id, TaskEventKind::Oom),
        "/tasks/exit" => {
            let Task { container_id, id, pid, exit_status: status, exited_at, .. } = task()?;
            (container_id, TaskEventKind::Exit { process_id: id, pid, status, exited_at })
        }
        "/tasks/delete" => {
            let Task { container_id, exit_status: status, exited_at, .. } = task()?;
            (container_id, TaskEventKind::Delete { status, exited_at })
        }
        _ => return Ok(Facts::new()),
    };
    let container = ContainerId(container_id);
    Ok(vec![(Some(at), Fact::Task(TaskEvent { container, kind }))])
}
