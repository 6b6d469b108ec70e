//! Long lives: what is kept, for how long, and that nothing which lives is ever lost.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use coroner_diagnosis::{
    case::KEEP,
    examiner::{Examiner, Sizes},
    observation::{
        Fact, Health, Observation, Source,
        cgroup::{Path, Sample},
        containerd::{TaskEvent, TaskEventKind},
        cri::{Container, ContainerId, Pod, Sandbox, State},
        docker,
        kernel_log::Record,
        kube::{self, Change, Object},
    },
};
use coroner_proto::v1::{Cause, Diagnosis, Node};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1 as core;
use proptest::prelude::*;
use serde_json::json;

/// A pod of one container, by its number.
#[derive(Clone, Copy)]
struct Life(u32);

impl Life {
    fn id(self) -> ContainerId {
        ContainerId(format!("{:064x}", 0xc0_0000_0000_u64 + u64::from(self.0)))
    }

    fn sandbox(self) -> ContainerId {
        ContainerId(format!("{:064x}", 0x50_0000_0000_u64 + u64::from(self.0)))
    }

    fn main(self) -> i32 {
        1000 + i32::try_from(self.0).unwrap() * 2
    }

    fn uid(self) -> String {
        format!("{:08x}-1111-4222-8333-444444444444", self.0)
    }

    fn pod(self) -> Pod {
        Pod { namespace: "shop".to_owned(), name: format!("web-{}", self.0), uid: self.uid() }
    }

    fn pod_cgroup(self) -> String {
        format!("/kubepods/burstable/pod{}", self.uid())
    }

    fn cgroup(self) -> String {
        format!("{}/{}", self.pod_cgroup(), self.id())
    }

    fn status(self, state: State) -> Fact {
        Fact::Container(Container {
            id: self.id(),
            pod: self.pod(),
            name: "web".to_owned(),
            attempt: 0,
            state,
            created_at: None,
            started_at: None,
            finished_at: None,
            exit_code: 0,
            reason: String::new(),
            message: String::new(),
            image: String::new(),
            pid: Some(self.main()).filter(|_| state == State::Running),
            cgroups_path: None,
            memory_limit: Some(64 << 20),
            limits_known: true,
            sandbox_id: Some(self.sandbox()),
            grace_period_seconds: None,
        })
    }

    fn task(self, id: &ContainerId, kind: TaskEventKind) -> Fact {
        Fact::Task(TaskEvent { container: id.clone(), kind })
    }

    fn exit(self, id: &ContainerId, pid: i32) -> Fact {
        let process_id = id.0.clone();
        self.task(id, TaskEventKind::Exit { process_id, pid, status: 0, exited_at: None })
    }

    fn object(self, change: Change, status: serde_json::Value) -> Fact {
        let pod = json!({
            "metadata": {"namespace": "shop", "name": self.pod().name, "uid": self.uid()},
            "spec": {"nodeName": "n1", "restartPolicy": "Always", "containers": [{"name": "web"}]},
            "status": {"phase": "Running", "containerStatuses": status},
        });
        let pod: core::Pod = serde_json::from_value(pod).unwrap();
        Fact::Object(change, Object::Pod(Arc::new(kube::Pod::from(&pod))))
    }

    fn running(self) -> serde_json::Value {
        let state = json!({"running": {"startedAt": "2026-11-20T00:00:00Z"}});
        json!([{"name": "web", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": format!("containerd://{}", self.id()), "state": state}])
    }

    /// It begins, and every source reports it.
    fn begin(self) -> Vec<Fact> {
        let sandbox = Sandbox { id: self.sandbox(), pod: self.pod(), ready: true, created_at: None };
        vec![
            self.object(Change::Applied, json!([])),
            self.task(&self.sandbox(), TaskEventKind::Start { pid: self.main() + 1 }),
            Fact::Sandbox(sandbox),
            self.task(&self.id(), TaskEventKind::Start { pid: self.main() }),
            self.status(State::Running),
            Fact::Cgroup(Sample { path: self.pod_cgroup(), ..Sample::default() }),
            Fact::Cgroup(Sample { path: self.cgroup(), processes: vec![self.main()], ..Sample::default() }),
            self.object(Change::Applied, self.running()),
        ]
    }

    /// Its container ends, and only one source reports it.
    fn end(self, reporter: u8) -> Fact {
        match reporter % 5 {
            0 => self.exit(&self.id(), self.main()),
            1 => Fact::CgroupRemoved(Path(self.cgroup())),
            2 => Fact::ContainerRemoved(self.id()),
            3 => self.status(State::Exited),
            _ => Fact::Docker(docker::Report::Event(self.id(), docker::Event::Die { status: 1 })),
        }
    }

    /// Its pod goes.
    fn go(self) -> Vec<Fact> {
        vec![
            self.exit(&self.sandbox(), self.main() + 1),
            Fact::SandboxRemoved(self.sandbox()),
            self.object(Change::Deleted, json!([])),
        ]
    }

    fn oom(self, pid: i32, micros: u64) -> Vec<Fact> {
        let line =
            |text: String| Fact::KernelLog(Record { sequence: None, boot_micros: micros, facility: 0, level: 6, text });
        vec![
            line(format!(
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg={path},\
                 task_memcg={path},task=worker,pid={pid},uid=0",
                path = self.cgroup()
            )),
            line(format!(
                "Memory cgroup out of memory: Killed process {pid} (worker) total-vm:100000kB, anon-rss:64000kB, \
                 file-rss:4kB, shmem-rss:0kB, UID:0 pgtables:160kB oom_score_adj:900"
            )),
        ]
    }
}

/// A node whose time passes.
struct World {
    examiner: Examiner,
    now: Timestamp,
    diagnoses: Vec<Diagnosis>,
}

impl World {
    fn new() -> Self {
        Self::of(Node { name: "n1".to_owned(), ..Node::default() })
    }

    fn of(node: Node) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut world = Self { examiner: Examiner::new(node), now, diagnoses: Vec::new() };
        for source in Source::OF_NODE {
            world.see([Fact::Health(source, Health::Ok)]);
        }
        world
    }

    fn see(&mut self, facts: impl IntoIterator<Item = Fact>) {
        for fact in facts {
            let observation = Observation { seen_at: self.now, happened_at: self.now, fact };
            self.diagnoses.extend(self.examiner.observe(observation));
        }
    }

    fn pass(&mut self, time: SignedDuration) {
        let until = self.now + time;
        while let Some(due) = self.examiner.next_tick().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.diagnoses.extend(self.examiner.tick(self.now));
        }
        self.now = until;
        self.diagnoses.extend(self.examiner.tick(until));
    }

    fn sizes(&self) -> Sizes {
        Sizes { statements: 0, ..self.examiner.sizes() }
    }

    /// Uids of the kills that were reported.
    fn kills(&self) -> Vec<&str> {
        let kills = self.diagnoses.iter().filter(|d| d.cause() == Cause::OomContainerLimit && !d.fatal);
        let mut uids: Vec<_> = kills.map(|d| d.uid.as_str()).collect();
        uids.dedup();
        uids
    }
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

#[test]
fn nothing_of_a_pod_remains_after_its_end_whichever_source_reports_it() {
    for reporter in 0..5 {
        let mut world = World::new();
        let life = Life(1);
        world.see(life.begin());
        world.pass(SignedDuration::from_hours(5));
        assert_eq!((world.sizes().containers, world.sizes().pods), (1, 1), "{reporter}");
        world.see([life.end(reporter)]);
        world.see(life.go());
        world.pass(KEEP - SECOND);
        assert_eq!((world.sizes().containers, world.sizes().pods), (1, 1), "{reporter}");
        world.pass(SECOND * 2);
        assert_eq!(world.sizes(), Sizes::default(), "{reporter}");
    }
}

#[test]
fn what_only_names_or_the_api_server_reported_ends_too() {
    let life = Life(1);
    let mut world = World::new();
    let name = || Fact::ContainerName { id: life.id(), pod: life.pod(), name: "web".to_owned(), attempt: Some(0) };
    world.see([name()]);
    world.pass(KEEP * 2);
    assert_eq!(world.sizes(), Sizes::default(), "a name does not show that anything is running");

    world.see([life.object(Change::Applied, life.running())]);
    world.pass(SignedDuration::from_hours(30));
    assert_eq!((world.sizes().containers, world.sizes().pods), (1, 1), "its object shows that it is running");
    world.see([life.object(Change::Deleted, life.running())]);
    world.pass(KEEP * 2);
    assert_eq!(world.sizes(), Sizes::default());
}

#[test]
fn a_container_of_which_an_event_was_lost_does_not_stay_for_ever() {
    use coroner_diagnosis::observation::{Gap, GapReason};
    let (life, mut world) = (Life(1), World::new());
    world.see([life.task(&life.id(), TaskEventKind::Start { pid: life.main() })]);
    world.pass(SignedDuration::from_hours(30));
    assert_eq!(world.sizes().containers, 1);
    let (from, to) = (world.now, world.now + SECOND);
    let gap = Gap { source: Source::Containerd, reason: GapReason::Disconnected, from, to, lost: None };
    world.see([Fact::Gap(gap)]);
    world.pass(KEEP * 2);
    assert_eq!(world.sizes(), Sizes::default(), "its end may have been among what was lost");
}

#[test]
fn a_container_that_lives_outlasts_any_number_of_others_and_is_known_when_it_is_killed() {
    let (life, mut world) = (Life(0), World::new());
    world.see(life.begin());
    for other in 1..4_500 {
        world.see(Life(other).begin());
        world.see([Life(other).end(0)]);
        world.see(Life(other).go());
        world.pass(SignedDuration::from_millis(20));
    }
    assert_eq!((world.sizes().containers, world.sizes().refused), (4_096, 0));
    world.pass(SignedDuration::from_hours(3));
    assert_eq!((world.sizes().containers, world.sizes().pods, world.sizes().refused), (1, 1, 0));
    world.see(life.oom(77, 1_000_000));
    world.pass(SECOND * 3);
    let newest = world.diagnoses.last().unwrap();
    assert_eq!((newest.cause(), newest.pod.as_ref().unwrap().name.as_str()), (Cause::OomContainerLimit, "web-0"));
}

#[test]
fn the_second_and_third_kill_are_reported_too_after_hours_of_silence() {
    let (life, mut world) = (Life(1), World::new());
    world.see(life.begin());
    for (minutes, expected) in [(1, 1), (20, 2), (25, 3), (720, 4)] {
        world.pass(SignedDuration::from_mins(minutes));
        let micros = u64::try_from(world.now.as_microsecond()).unwrap();
        world.see(life.oom(500, micros));
        world.pass(SECOND * 3);
        assert_eq!(world.kills().len(), expected, "{:?}", world.diagnoses);
    }
}

#[test]
fn where_more_live_than_can_be_kept_the_new_ones_are_refused_and_counted() {
    let mut world = World::new();
    for n in 0..4_200 {
        let life = Life(n);
        world.see([life.task(&life.id(), TaskEventKind::Start { pid: life.main() })]);
    }
    assert_eq!((world.sizes().containers, world.sizes().refused), (4_096, 104));
    world.see([Life(0).end(0)]);
    world.see([Life(5_000).task(&Life(5_000).id(), TaskEventKind::Start { pid: 3 })]);
    assert_eq!((world.sizes().containers, world.sizes().refused), (4_096, 104), "files of what has ended are closed");
}

#[test]
fn a_status_that_repeats_an_end_for_days_opens_no_file_again() {
    let (life, mut world) = (Life(1), World::new());
    let object = |ready: bool| {
        let ended = json!({"exitCode": 3, "reason": "Error", "startedAt": "2027-01-15T07:00:00Z",
                           "finishedAt": "2027-01-15T07:59:00Z", "containerID": format!("containerd://{}", life.id())});
        let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}});
        let status = json!([{"name": "web", "image": "i", "imageID": "", "ready": ready, "restartCount": 1,
                             "state": waiting, "lastState": {"terminated": ended}}]);
        life.object(Change::Applied, status)
    };
    world.see([object(false)]);
    world.pass(KEEP * 2);
    let ends = world.diagnoses.iter().filter(|d| d.fatal).count();
    assert!(ends > 0);
    assert_eq!((world.sizes().containers, world.sizes().pods), (0, 1));
    world.see([object(true)]);
    world.pass(KEEP);
    assert_eq!((world.sizes().containers, world.diagnoses.iter().filter(|d| d.fatal).count()), (0, ends));
}

#[test]
fn a_container_is_the_same_after_a_restart_of_the_node_and_a_process_is_another() {
    let uids = |boot: &str| {
        let mut world = World::of(Node { name: "n1".to_owned(), boot_id: boot.to_owned(), ..Node::default() });
        let life = Life(1);
        world.see(life.begin());
        world.see(life.oom(77, 5_000_000));
        world.pass(SECOND * 3);
        world.see(life.oom(life.main(), 9_000_000));
        world.see([life.exit(&life.id(), life.main())]);
        world.pass(SECOND * 3);
        let uid = |fatal| world.diagnoses.iter().find(|d| d.fatal == fatal).unwrap().uid.clone();
        (uid(true), uid(false))
    };
    let (before, after) = (uids("one"), uids("two"));
    assert_eq!(before.0, after.0);
    assert_ne!(before.1, after.1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn files_are_at_most_what_lives_and_what_has_ended_lately(
        script in prop::collection::vec((0..30_u32, 0..5_u8, 1..2_000_i64), 1..150),
    ) {
        let mut world = World::new();
        let mut alive = std::collections::BTreeSet::new();
        let mut ended: Vec<(Timestamp, u32)> = Vec::new();
        let mut next = 0;
        for (which, reporter, seconds) in script {
            if alive.len() < 4 || which % 2 == 0 {
                world.see(Life(next).begin());
                alive.insert(next);
                next += 1;
            } else if let Some(life) = alive.iter().nth(which as usize % alive.len()).copied() {
                alive.remove(&life);
                world.see([Life(life).end(reporter)]);
                world.see(Life(life).go());
                ended.push((world.now, life));
            }
            world.pass(SignedDuration::from_secs(seconds));
            let lately = ended.iter().filter(|(at, _)| *at + KEEP > world.now).count();
            prop_assert_eq!(world.sizes().containers, alive.len() + lately);
            prop_assert_eq!(world.sizes().pods, alive.len() + lately);
        }
        for life in &alive {
            world.see(Life(*life).oom(500_000 + i32::try_from(*life).unwrap(), 1_000_000));
        }
        world.pass(SECOND * 3);
        let killed = world.diagnoses.iter().filter(|d| d.cause() == Cause::OomContainerLimit && !d.fatal);
        let killed: std::collections::BTreeSet<_> = killed.map(|d| d.pod.as_ref().unwrap().uid.clone()).collect();
        prop_assert_eq!(killed.len(), alive.len(), "every one that lives is known");
    }
}
