//! The catalogue of causes: what each means, how severe it is by default, and what to do next. The texts are messages.

mod cluster;
mod contributing;
mod end;
mod eviction;
mod memory;
mod node;
mod start;
mod unwell;

use coroner_proto::v1::{Cause, Message, Severity, Subject, SubjectKind, Workload};

use crate::messages::{causes, next};

/// The entry of a cause in the catalogue, whatever the subject.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The cause that the entry describes.
    pub cause: Cause,
    /// The part of the catalogue that it belongs to.
    pub chapter: Chapter,
    /// The severity of a diagnosis with this cause that ended something; at most a warning otherwise.
    pub severity: Severity,
    /// The definition of the cause, one sentence.
    pub what: fn() -> Message,
    /// What to do about it at this place, the cheapest first.
    pub next: fn(&Place<'_>) -> Vec<Message>,
}

/// The names that commands need. Where one is not known, a placeholder in capitals stands for it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    namespace: &'a str,
    pod: &'a str,
    container: &'a str,
    node: &'a str,
    /// Of the Service or Ingress.
    name: &'a str,
    /// Whether a container that has ended there is started again.
    restarts: bool,
    /// The kind and name of what a rollout of its pod could be undone for; `None` if it belongs to nothing of the kind.
    rolled_out: Option<(&'a str, &'a str)>,
}

/// The kinds of workloads that `kubectl rollout` knows, and how it names them.
const ROLLED_OUT: [(&str, &str); 3] =
    [("Deployment", "deployment"), ("StatefulSet", "statefulset"), ("DaemonSet", "daemonset")];

impl<'a> Place<'a> {
    /// A place without names: commands show placeholders.
    pub const ANYWHERE: Self = Self {
        namespace: "NAMESPACE",
        pod: "POD",
        container: "CONTAINER",
        node: "NODE",
        name: "NAME",
        restarts: true,
        rolled_out: Some(("deployment", "NAME")),
    };

    /// The names of this subject, for commands.
    pub fn of(subject: &'a Subject) -> Self {
        let or = |name: &'a str, otherwise: &'a str| if name.is_empty() { otherwise } else { name };
        // The name of a pod that is only known by its uid is that uid, which kubectl does not take.
        let is_named = !subject.namespace.is_empty();
        let is_pod = matches!(subject.kind(), SubjectKind::Container | SubjectKind::Pod) && is_named;
        let is_node = subject.kind() == SubjectKind::Node;
        Self {
            namespace: or(&subject.namespace, Self::ANYWHERE.namespace),
            pod: if is_pod { or(&subject.name, Self::ANYWHERE.pod) } else { Self::ANYWHERE.pod },
            container: or(&subject.container, Self::ANYWHERE.container),
            node: or(if is_node { &subject.name } else { &subject.node }, Self::ANYWHERE.node),
            name: if is_named { or(&subject.name, Self::ANYWHERE.name) } else { Self::ANYWHERE.name },
            ..Self::ANYWHERE
        }
    }

    /// The same place, where a container that has ended is started again or not.
    #[must_use]
    pub(crate) const fn restarting(self, restarts: bool) -> Self {
        Self { restarts, ..self }
    }

    /// The same place, where the pod belongs to these workloads and to no others.
    #[must_use]
    pub(crate) fn of_workloads(self, workloads: &'a [Workload]) -> Self {
        let rolled_out = workloads.iter().find_map(|workload| {
            let (_, kind) = ROLLED_OUT.into_iter().find(|(kind, _)| *kind == workload.kind)?;
            Some((kind, workload.name.as_str()))
        });
        Self { rolled_out, ..self }
    }

    /// How to undo the last rollout, where there is something to undo.
    fn roll_back(&self) -> Option<Message> {
        self.rolled_out.map(|(kind, name)| next::next_roll_back(self.namespace, kind, name))
    }

    /// How to read the log of a container that has ended: it is the previous one only where another has followed.
    fn log_of_the_end(&self) -> Message {
        match self.restarts {
            true => next::next_previous_logs(self.namespace, self.pod, self.container),
            false => next::next_logs(self.namespace, self.pod, self.container),
        }
    }
}

/// The parts of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// Memory.
    Memory,
    /// Eviction and removal.
    Eviction,
    /// Ended by a signal or by itself.
    End,
    /// Never started.
    Start,
    /// Running but not well, or not ending.
    Unwell,
    /// Node.
    Node,
    /// Cluster.
    Cluster,
    /// Contributing causes: they explain a verdict without being one.
    Contributing,
}

impl Chapter {
    /// The heading of the chapter.
    pub fn title(self) -> Message {
        match self {
            Self::Memory => causes::chapter_memory(),
            Self::Eviction => causes::chapter_eviction(),
            Self::End => causes::chapter_end(),
            Self::Start => causes::chapter_start(),
            Self::Unwell => causes::chapter_unwell(),
            Self::Node => causes::chapter_node(),
            Self::Cluster => causes::chapter_cluster(),
            Self::Contributing => causes::chapter_contributing(),
        }
    }
}

/// The chapters, in the order in which they are shown.
const CHAPTERS: [&[Row]; 8] =
    [memory::ROWS, eviction::ROWS, end::ROWS, start::ROWS, unwell::ROWS, node::ROWS, cluster::ROWS, contributing::ROWS];

/// The row of a cause. `None` only for `CAUSE_UNSPECIFIED`.
pub fn find(cause: Cause) -> Option<&'static Row> {
    rows().find(|row| row.cause == cause)
}

/// All rows, in the order in which they are shown.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    CHAPTERS.into_iter().flatten()
}

const fn row(
    cause: Cause,
    chapter: Chapter,
    severity: Severity,
    what: fn() -> Message,
    next: fn(&Place<'_>) -> Vec<Message>,
) -> Row {
    Row { cause, chapter, severity, what, next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::english;

    #[test]
    fn every_cause_of_the_wire_has_exactly_one_row() {
        for cause in (1..256).filter_map(|number| Cause::try_from(number).ok()) {
            assert_eq!(rows().filter(|row| row.cause == cause).count(), 1, "{}", cause.as_str_name());
        }
    }

    #[test]
    fn the_wire_describes_every_cause_as_its_row_does() {
        let wire = include_str!("../../proto/coroner/v1/cause.proto");
        for Row { cause, what, .. } in rows() {
            let described = format!("\n  // {}\n  {} = {};", english(&what()), cause.as_str_name(), *cause as i32);
            assert!(wire.contains(&described), "cause.proto lacks{described}");
        }
    }

    #[test]
    fn every_cause_has_next_steps_with_the_names_of_its_place() {
        let subject = Subject {
            kind: SubjectKind::Container.into(),
            namespace: "shop".to_owned(),
            name: "web-1".to_owned(),
            node: "worker-3".to_owned(),
            container: "web".to_owned(),
            ..Subject::default()
        };
        for row in rows() {
            let steps = (row.next)(&Place::of(&subject));
            assert!((1..=4).contains(&steps.len()), "{}", row.cause.as_str_name());
            for step in steps.iter().map(english) {
                let placeholders = ["NAMESPACE", "POD", "CONTAINER ", "NODE"];
                assert!(!placeholders.iter().any(|name| step.contains(name)), "{step}");
            }
        }
        let [_, trend] = <[Message; 2]>::try_from((rows().next().unwrap().next)(&Place::of(&subject))).unwrap();
        assert!(english(&trend).ends_with("kubectl -n shop top pod web-1 --containers"), "{trend:?}");
    }

    #[test]
    fn of_a_container_that_is_not_started_again_the_log_is_not_the_previous_one() {
        for (restarts, options) in [(true, "CONTAINER --previous"), (false, "CONTAINER")] {
            let row = find(Cause::ApplicationExit).unwrap();
            let [step] = <[Message; 1]>::try_from((row.next)(&Place::ANYWHERE.restarting(restarts))).unwrap();
            assert!(english(&step).ends_with(&format!("logs POD -c {options}")), "{step:?}");
        }
    }

    #[test]
    fn a_rollout_is_undone_only_of_what_is_rolled_out() {
        let steps = |workloads: &[(&str, &str)]| {
            let workload =
                |(kind, name): &(&str, &str)| Workload { kind: (*kind).to_owned(), name: (*name).to_owned() };
            let workloads: Vec<_> = workloads.iter().map(workload).collect();
            let steps = (find(Cause::CrashSegfault).unwrap().next)(&Place::ANYWHERE.of_workloads(&workloads));
            steps.iter().map(english).find(|step| step.contains("rollout undo"))
        };
        let undone = steps(&[("ReplicaSet", "web-5d9c"), ("Deployment", "web")]).unwrap();
        assert!(undone.ends_with("rollout undo deployment/web"), "{undone}");
        assert_eq!(steps(&[("Job", "sum")]), None);
        assert_eq!(steps(&[]), None);
    }

    #[test]
    fn rows_stand_in_their_chapters() {
        let chapters: Vec<_> = rows().map(|row| row.chapter).collect();
        assert!(chapters.is_sorted());
    }
}
