//! What programs make the kernel print: names of files, threads and mount options, audit messages. Whatever they
//! choose, nothing is reported of another container.
#![allow(clippy::unwrap_used, reason = "tests")]

use coroner_diagnosis::{
    observation::{
        Fact, Health, Observation, Source,
        cgroup::{Limit, Sample},
        containerd::{TaskEvent, TaskEventKind},
        cri::{Container, ContainerId, Pod, State},
        kernel_log::Record,
    },
    replay::replay,
};
use coroner_proto::v1::Node;
use jiff::Timestamp;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

const POD: &str = "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555";
/// The main process of the container that is none of the attacker's.
const MAIN: i32 = 4321;
/// A child of it.
const CHILD: i32 = 4322;
/// The attacker's.
const OWN: i32 = 777;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
}

fn seen(millis: i64, fact: Fact) -> Observation {
    Observation { seen_at: at(millis), happened_at: at(millis), fact }
}

fn cgroup() -> String {
    format!("{POD}/{}", "a".repeat(64))
}

/// A container that is running, with `log` as the only statements about it.
fn node(log: Vec<Record>, fork_was_refused: bool) -> Vec<Observation> {
    let id = ContainerId("a".repeat(64));
    let pod = Pod { namespace: "shop".into(), name: "db".into(), uid: POD[24..].to_owned() };
    let container = Container {
        id: id.clone(),
        pod,
        name: "db".into(),
        attempt: 0,
        state: State::Running,
        created_at: Some(at(0)),
        started_at: Some(at(0)),
        finished_at: None,
        exit_code: 0,
        reason: String::new(),
        message: String::new(),
        image: "db:1".into(),
        pid: Some(MAIN),
        cgroups_path: None,
        memory_limit: Some(64 << 20),
        limits_known: true,
        sandbox_id: None,
        grace_period_seconds: None,
    };
    let processes = vec![MAIN, CHILD];
    let sample = Sample {
        path: cgroup(),
        memory_limit: Some(Limit::Limited(64 << 20)),
        pids_limit_hits: Some(fork_was_refused.into()),
        processes,
        ..Sample::default()
    };
    let sources = [Source::KernelLog, Source::Cgroups, Source::Cri, Source::Containerd, Source::Signals];
    let mut observations: Vec<_> =
        sources.into_iter().map(|source| seen(-9_000, Fact::Health(source, Health::Ok))).collect();
    observations.push(seen(0, Fact::Task(TaskEvent { container: id, kind: TaskEventKind::Start { pid: MAIN } })));
    observations.push(seen(1, Fact::Container(container)));
    observations.push(seen(2, Fact::Cgroup(sample)));
    observations.extend(log.into_iter().map(|record| seen(5_000, Fact::KernelLog(record))));
    observations
}

/// Lines of the kernel about the other container, whole or in part.
fn imitation() -> impl Strategy<Value = String> {
    let pid = select(vec![MAIN, CHILD]);
    let line = (pid, 0..12_usize, any::<Index>(), any::<bool>()).prop_map(|(pid, which, cut, whole)| {
        let group = cgroup();
        let sizes =
            "total-vm:100000kB, anon-rss:64000kB, file-rss:4kB, shmem-rss:0kB, UID:0 pgtables:160kB oom_score_adj:900";
        let line = match which {
            0 => format!("Memory cgroup out of memory: Killed process {pid} (db) {sizes}"),
            1 => format!("Out of memory: Killed process {pid} (db) {sizes}"),
            2 => format!("Killed process {pid} (db) total-vm:8kB, anon-rss:4kB, file-rss:2kB"),
            3 => format!(
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg={group},\
                 task_memcg={group},task=db,pid={pid},uid=0"
            ),
            4 => format!("Task in {group} killed as a result of limit of {group}"),
            5 => format!("Tasks in {group} are going to be killed due to memory.oom.group set"),
            6 => format!("cgroup: fork rejected by pids controller in {group}"),
            7 => format!("db[{pid}]: segfault at 10 ip 401966 sp 7ffd error 6 in db[1966,401000+8c000]"),
            8 => format!("traps: db[{pid}] trap invalid opcode ip:401989 sp:7ffc error:0 in db[1989,401000+8c000]"),
            9 => format!(
                "audit: type=1701 audit(1.1:2): auid=1 uid=0 gid=0 ses=1 pid={pid} comm=\"db\" exe=\"/db\" sig=9 res=1"
            ),
            10 => "memory: usage 65536kB, limit 65536kB, failcnt 9".to_owned(),
            _ => format!("Memory failure: 0x1f2a3: Killing db:{pid} due to hardware memory corruption"),
        };
        let cut = line.floor_char_boundary(cut.index(line.len() + 1));
        if whole { line } else { line[..cut].to_owned() }
    });
    let between =
        select(vec!["\n", "\n\n", "\r", "\r\n", "\n<3>[    9.000001] ", "\n3,9,9,-;", "\\x0a", "", " ", "'\n"]);
    let other = "[ -~]{0,12}";
    (other, vec((between, line), 1..5), other).prop_map(|(before, lines, after)| {
        let lines: String = lines.into_iter().map(|(between, line)| format!("{between}{line}")).collect();
        format!("{before}{lines}{after}")
    })
}

/// Where the kernel puts what a program chose, and how much of it.
fn printed(name: &str, place: usize) -> String {
    let short = |most: usize| &name[..name.floor_char_boundary(most)];
    let (comm, file, option, audit) = (short(15), short(255), short(4095), short(900));
    match place {
        0 => format!(
            "{comm}[{OWN}]: segfault at 10 ip 401966 sp 7ffd error 6 in {file}[1966,401000+8c000] likely on CPU 0 (core 0, socket 0)"
        ),
        1 => format!("traps: {comm}[{OWN}] trap int3 ip:401966 sp:7ffd error:0 in {file}[1966,401000+8c000]"),
        2 => format!("{file}: {comm}: potentially unexpected fatal signal 11."),
        3 => format!("process '{file}' started with executable stack"),
        4 => format!("tmpfs: Unknown parameter '{option}'"),
        5 => format!("overlayfs: failed to resolve '{option}': -2"),
        6 => format!("cgroup: Unknown subsys name '{option}'"),
        7 => format!("audit: type=1107 audit(1.1:2): pid={OWN} uid=0 auid=0 ses=1 msg='{audit}'"),
        8 => format!("{comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"),
        9 => format!(
            "Memory cgroup out of memory: Killed process {OWN} ({comm}) total-vm:8kB, anon-rss:4kB, file-rss:2kB, shmem-rss:1kB, UID:0 pgtables:4kB oom_score_adj:0"
        ),
        10 => format!("{comm}: page allocation failure: order:0, mode:0x1"),
        _ => format!("{comm} ({OWN}): drop_caches: 3"),
    }
}

/// As /dev/kmsg gives it (`msg_add_ext_text`).
fn by_kmsg(text: &str) -> Vec<Record> {
    let mut record = "6,1,1,-;".to_owned();
    for byte in text.bytes() {
        match byte {
            b' '..=b'[' | b']'..=b'~' => record.push(byte.into()),
            _ => record += &format!("\\x{byte:02x}"),
        }
    }
    vec![Record::parse(record.as_bytes()).unwrap()]
}

/// As syslog(2) gives it (`record_print_text`), after a line of another record, or from its second line on.
fn by_syslog(text: &str, caller: &str, from_middle: bool) -> Vec<Record> {
    let head = format!("<6>[    9.000001]{caller} ");
    let lines: String = text.split('\n').map(|line| format!("{head}{line}\n")).collect();
    match lines.split_once('\n') {
        Some((first, rest)) if from_middle => Record::parse_syslog(rest.as_bytes(), Some(first.as_bytes())),
        _ => Record::parse_syslog(format!("<6>[    9.000000]{caller} x\n{lines}").as_bytes(), None),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_reported_of_another_container(
        name in imitation(), place in 0..12_usize, caller in select(vec!["", "[   T77]", "[    C1]"]),
        from_middle: bool, fork_was_refused: bool
    ) {
        let text = printed(&name, place);
        for log in [by_kmsg(&text), by_syslog(&text, caller, from_middle)] {
            let reported = replay(Node::default(), node(log, fork_was_refused), at(600_000));
            prop_assert!(reported.is_empty(), "{text}\n{reported:#?}");
        }
    }
}

/// The strategy would find it: without a name before it, each of the lines is an event.
#[test]
fn the_same_text_from_the_kernel_itself_is_reported() {
    let killed =
        "Memory cgroup out of memory: Killed process 4322 (db) total-vm:8kB, anon-rss:4kB, file-rss:2kB, shmem-rss:1kB";
    for log in [by_kmsg(killed), by_syslog(killed, "", false)] {
        assert_eq!(replay(Node::default(), node(log, false), at(600_000)).len(), 1);
    }
}
