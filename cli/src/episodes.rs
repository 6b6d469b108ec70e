//! Episodes: the same cause in the same container of one workload, however often and in however many of its pods. A
//! crash loop is one.

use std::collections::BTreeMap;

use coroner_proto::v1::{Diagnosis, SubjectKind};
use jiff::Timestamp;

use crate::labels;

/// What diagnoses of one episode have in common: namespace, owner, container, cause, and what kind of subject they are
/// about.
type Key = (String, String, String, i32, i32);

/// Diagnoses of one cause in one container of a workload, shown as one row.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    /// Its newest diagnosis.
    pub(crate) newest: Diagnosis,
    /// The first time of it that is recorded.
    pub(crate) first: Option<Timestamp>,
    /// How often it happened in each of its pods.
    pods: BTreeMap<String, Times>,
}

/// How often something happened in one pod.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// Diagnoses of it.
    recorded: u32,
    /// The highest count that one of them gives.
    counted: u32,
}

impl Episode {
    fn new(newest: Diagnosis) -> Self {
        let mut episode = Self { first: None, pods: BTreeMap::new(), newest: Diagnosis::default() };
        episode.add(&newest);
        episode.newest = newest;
        episode
    }

    fn add(&mut self, diagnosis: &Diagnosis) {
        let time = labels::time(diagnosis.event_time.as_ref());
        self.first = self.first.into_iter().chain(time).min();
        let pod = diagnosis.subject.as_ref().map_or("", |subject| &subject.name);
        let times = self.pods.entry(pod.to_owned()).or_default();
        times.recorded += 1;
        times.counted = times.counted.max(diagnosis.occurrence_count);
    }

    /// How often it happened, at least once.
    pub(crate) fn count(&self) -> u32 {
        self.pods.values().map(|times| times.recorded.max(times.counted)).sum()
    }

    /// How many pods, or other subjects, it happened to.
    pub(crate) fn subjects(&self) -> usize {
        self.pods.len()
    }

    /// `deployment/web` where it happened to several pods of one workload.
    pub(crate) fn workload(&self) -> Option<String> {
        let workload = self.newest.workloads.last().filter(|_| self.pods.len() > 1)?;
        Some(format!("{}/{}", workload.kind.to_lowercase(), workload.name))
    }
}

/// Episodes in the order of their newest diagnoses.
#[derive(Debug, Default)]
pub(crate) struct Episodes {
    places: BTreeMap<Key, usize>,
    episodes: Vec<Episode>,
}

impl Episodes {
    /// Adds a diagnosis that is no newer than those before it.
    pub(crate) fn add(&mut self, diagnosis: Diagnosis) {
        let place = *self.places.entry(key(&diagnosis)).or_insert(self.episodes.len());
        match self.episodes.get_mut(place) {
            Some(episode) => episode.add(&diagnosis),
            None => self.episodes.push(Episode::new(diagnosis)),
        }
    }

    /// Whether it would be part of an episode that is there.
    pub(crate) fn holds(&self, diagnosis: &Diagnosis) -> bool {
        self.places.contains_key(&key(diagnosis))
    }

    pub(crate) fn len(&self) -> usize {
        self.episodes.len()
    }

    pub(crate) fn into_vec(self) -> Vec<Episode> {
        self.episodes
    }
}

impl FromIterator<Diagnosis> for Episodes {
    fn from_iter<I: IntoIterator<Item = Diagnosis>>(diagnoses: I) -> Self {
        let mut episodes = Self::default();
        diagnoses.into_iter().for_each(|diagnosis| episodes.add(diagnosis));
        episodes
    }
}

fn key(diagnosis: &Diagnosis) -> Key {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let owner = match (subject.kind(), diagnosis.workloads.last()) {
        (SubjectKind::Container | SubjectKind::Pod, Some(workload)) => format!("{}/{}", workload.kind, workload.name),
        _ => subject.name,
    };
    (subject.namespace, owner, subject.container, diagnosis.cause, subject.kind)
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Cause, Workload};

    use super::*;
    use crate::testing;

    fn of(pod: &str, workload: &str, seconds: i64, count: u32) -> Diagnosis {
        let mut diagnosis = testing::oom_child();
        diagnosis.subject.as_mut().unwrap().name = pod.to_owned();
        diagnosis.workloads = vec![Workload { kind: "Deployment".to_owned(), name: workload.to_owned() }];
        diagnosis.event_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
        diagnosis.occurrence_count = count;
        diagnosis
    }

    #[test]
    fn a_crash_loop_is_one_episode_in_whatever_pods_it_goes_on() {
        let loops = [of("web-2", "web", 90, 2), of("web-1", "web", 80, 5), of("web-1", "web", 20, 4)];
        let episodes: Episodes = loops.into_iter().collect();
        let [episode] = <[Episode; 1]>::try_from(episodes.into_vec()).unwrap();
        assert_eq!((episode.count(), episode.subjects()), (7, 2));
        assert_eq!(episode.workload().as_deref(), Some("deployment/web"));
        assert_eq!(episode.first.unwrap().as_second(), 20);
        assert_eq!(episode.newest.event_time.unwrap().seconds, 90);
    }

    #[test]
    fn another_cause_container_or_workload_is_another_episode() {
        let other = Diagnosis { cause: Cause::OomNode.into(), ..of("web-1", "web", 50, 1) };
        let mut sidecar = of("web-1", "web", 40, 1);
        sidecar.subject.as_mut().unwrap().container = "proxy".to_owned();
        let episodes: Episodes =
            [of("web-1", "web", 60, 1), other, sidecar, of("api-1", "api", 30, 1)].into_iter().collect();
        assert_eq!(episodes.len(), 4);
        assert!(episodes.into_vec().iter().all(|episode| episode.count() == 1 && episode.workload().is_none()));
    }
}
