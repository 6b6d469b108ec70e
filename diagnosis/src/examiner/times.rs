//! Times that cannot be true.

use jiff::Timestamp;

use crate::observation::{
    Fact, Observation,
    containerd::{TaskEvent, TaskEventKind},
    cri::Container,
    docker,
};

/// Times that cannot be true are those of a broken source: what it reports happened when it was seen. Arithmetic on
/// what remains cannot overflow.
pub(super) fn make_sane(observation: &mut Observation) {
    let seen_at = observation.seen_at;
    if !possible(&observation.happened_at) {
        observation.happened_at = seen_at;
    }
    match &mut observation.fact {
        Fact::Container(container) => make_times_sane(container),
        Fact::Docker(docker::Report::Container(container)) => make_times_sane(container),
        Fact::Task(TaskEvent {
            kind: TaskEventKind::Exit { exited_at, .. } | TaskEventKind::Delete { exited_at, .. },
            ..
        }) => *exited_at = exited_at.filter(possible),
        _ => {}
    }
}

fn make_times_sane(container: &mut Container) {
    for time in [&mut container.created_at, &mut container.started_at, &mut container.finished_at] {
        *time = time.filter(|at| possible(at) && at.as_second() > 0);
    }
}

/// From 1970 to 2100.
fn possible(at: &Timestamp) -> bool {
    (0..=4_102_444_800).contains(&at.as_second())
}
