//! The OOM killer's lines: `mm/oom_kill.c`, `mm/memcontrol.c` and `mm/memcontrol-v1.c`, 4.19 to 6.18.

use super::{CgroupMemory, Event, KillScope, Killed, OomSummary};
use crate::parse::{COMM_MAX, decimal, is_comm, occurrences};

/// What the kernel prints (in kB) for no limit is `PAGE_COUNTER_MAX` pages, which depends on the size of a page; this
/// is its smallest value, with pages of 64 KiB.
const UNLIMITED_KB: u64 = 9_007_199_254_740_928;

pub(super) fn parse(text: &str) -> Option<Event> {
    killed(text)
        .map(Event::Killed)
        .or_else(|| summary(text).map(Event::OomSummary))
        .or_else(|| limit_usage(text))
        .or_else(|| cgroup_memory(text).map(Event::CgroupMemory))
        .or_else(|| group_kill(text))
        .or_else(|| legacy_summary(text))
        .or_else(|| legacy_choice(text))
        .or_else(|| invoked(text))
}

/// What the kernel writes before the kill, and which shortage that names.
const WHY: [(&str, KillScope); 3] = [
    ("Memory cgroup out of memory: ", KillScope::Memcg),
    ("Out of memory: ", KillScope::Global),
    ("Out of memory (oom_kill_allocating_task): ", KillScope::Global),
];

/// `[<why>: ]Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB, shmem-rss:%lukB[, UID:%u
/// [pgtables:%lukB oom_score_adj:%hd]]`. Some old kernels of distributions print `(%s), UID %d, total-vm:` instead.
fn killed(text: &str) -> Option<Killed> {
    let mut reasons = WHY.into_iter().chain([("", KillScope::Unsaid)]);
    let (rest, scope) =
        reasons.find_map(|(why, scope)| Some((text.strip_prefix(why)?.strip_prefix("Killed process ")?, scope)))?;
    let (pid, rest) = rest.split_once(" (")?;
    // The name may hold all of the separators; from here on, the last one is the kernel's.
    let end = rest.rfind(" total-vm:")?;
    let (head, sizes) = (&rest[..end], &rest[end + 1..]);
    let (comm, mut uid) = match head.strip_suffix(')') {
        Some(comm) => (comm, None),
        None => {
            let (comm, uid) = head.strip_suffix(',')?.rsplit_once("), UID ")?;
            (comm, Some(decimal(uid)?))
        }
    };
    if !is_comm(comm) {
        return None;
    }
    let (sizes, tail) = match sizes.split_once(", UID:") {
        Some((sizes, tail)) => (sizes, Some(tail)),
        None => (sizes, None),
    };
    let mut sizes = sizes.split(", ");
    let bytes = |field: &str, name: &str| {
        decimal::<u64>(field.strip_prefix(name)?.strip_prefix(':')?.strip_suffix("kB")?)?.checked_mul(1024)
    };
    let total_vm = bytes(sizes.next()?, "total-vm")?;
    let anon_rss = bytes(sizes.next()?, "anon-rss")?;
    let file_rss = bytes(sizes.next()?, "file-rss")?;
    let shmem_rss = match sizes.next() {
        Some(field) => Some(bytes(field, "shmem-rss")?),
        None => None,
    };
    // Nothing may follow, else the line is another one of the kernel's, which begins with a name that imitates this
    // one.
    if sizes.next().is_some() {
        return None;
    }
    let mut oom_score_adj = None;
    if let Some(tail) = tail {
        uid = Some(decimal(tail.split(' ').next()?)?);
        // Some kernels of RHEL 8 end here, which is not verified in their source.
        if let Some((_, rest)) = tail.split_once(' ') {
            let (pages, adj) = rest.strip_prefix("pgtables:")?.split_once("kB oom_score_adj:")?;
            decimal::<u64>(pages)?;
            oom_score_adj = Some(decimal(adj)?);
        }
    }
    Some(Killed {
        pid: decimal(pid)?,
        comm: comm.to_owned(),
        scope,
        total_vm,
        anon_rss,
        file_rss,
        shmem_rss,
        uid,
        oom_score_adj,
    })
}

/// `oom-kill:constraint=%s,nodemask=%*pbl[,cpuset=…,mems_allowed=…][,oom_memcg=…|,global_oom][,task_memcg=…],task=%s,pid=%d,uid=%d`
fn summary(text: &str) -> Option<OomSummary> {
    let rest = text.strip_prefix("oom-kill:constraint=")?;
    let (constraint, rest) = rest.split_once(',')?;
    let (rest, uid) = rest.rsplit_once(",uid=")?;
    let (rest, pid) = rest.rsplit_once(",pid=")?;
    let (rest, comm) = split_task(rest)?;
    let (global, limit_cgroup, victim_cgroup) = cgroups(rest);
    [limit_cgroup, victim_cgroup].into_iter().flatten().all(is_path).then_some(())?;
    Some(OomSummary {
        pid: decimal(pid.trim_start_matches(' '))?,
        comm: comm.to_owned(),
        uid: decimal(uid.trim_start_matches(' '))?,
        limit_cgroup: limit_cgroup.map(str::to_owned),
        global,
        victim_cgroup: victim_cgroup.map(str::to_owned),
        constraint: constraint.to_owned(),
    })
}

/// Splits `…,task=<comm>`. The name itself may hold `,task=`, so it is the leftmost one that leaves no more than a name
/// can be long.
fn split_task(text: &str) -> Option<(&str, &str)> {
    const TASK: &str = ",task=";
    // At most three bytes a character after replacement of what is not UTF-8.
    let from = text.floor_char_boundary(text.len().saturating_sub(TASK.len() + 3 * COMM_MAX));
    occurrences(&text[from..], TASK)
        .map(|at| (&text[..from + at], &text[from + at + TASK.len()..]))
        .find(|(_, comm)| is_comm(comm))
}

/// Whether it is global, the cgroup at its limit and the victim's. Names of cgroups hold no `/` and no line end, but a
/// user who may make cgroups can put any of the separators into a path: the victim stands at or below the limit that it
/// died of.
fn cgroups(text: &str) -> (bool, Option<&str>, Option<&str>) {
    const LIMIT: &str = ",oom_memcg=/";
    const VICTIM: &str = ",task_memcg=/";
    const GLOBAL: &str = ",global_oom";
    let limit = text.find(LIMIT);
    // What precedes the memory cgroups (cpuset's name, lists of nodes) has no `/`, so the leftmost is the kernel's.
    if let Some(at) = text.find(",global_oom,task_memcg=/").filter(|at| limit.is_none_or(|limit| *at < limit)) {
        return (true, None, Some(&text[at + GLOBAL.len() + VICTIM.len() - 1..]));
    }
    let Some(at) = limit else {
        return (text.ends_with(GLOBAL), None, None);
    };
    let paths = &text[at + LIMIT.len() - 1..];
    let split = |at| (&paths[..at], &paths[at + VICTIM.len() - 1..]);
    let mut splits = occurrences(paths, VICTIM).map(split);
    let first = splits.next();
    match first.into_iter().chain(splits).find(|(limit, victim)| is_within(victim, limit)).or(first) {
        Some((limit, victim)) => (false, Some(limit), Some(victim)),
        None => (false, Some(paths), None),
    }
}

/// Whether this can be the path of a cgroup: the kernel refuses names with line ends (`cgroup_mkdir()` of
/// `kernel/cgroup/cgroup.c`).
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains('\n')
}

/// Whether a cgroup's path is that of `ancestor` or below it.
fn is_within(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || ancestor == "/")
}

/// `memory: usage %llukB, limit %llukB, failcnt %lu`
fn limit_usage(text: &str) -> Option<Event> {
    let (usage, rest) = text.strip_prefix("memory: usage ")?.split_once("kB, limit ")?;
    let (limit, failures) = rest.split_once("kB, failcnt ")?;
    decimal::<u64>(failures)?;
    let limit: u64 = decimal(limit)?;
    let limit = if limit >= UNLIMITED_KB { None } else { Some(limit.checked_mul(1024)?) };
    Some(Event::LimitUsage { usage: decimal::<u64>(usage)?.checked_mul(1024)?, limit })
}

/// Statistics of the cgroup, from `mem_cgroup_print_oom_meminfo`: a record for each line, or one of all lines (before
/// 5.16), which may be cut. Those of v1 have the names of its `memory.stat`, the cgroup's own before those of all below
/// it; before 5.3 they are `Memory cgroup stats for <path>: cache:%luKB rss:%luKB … shmem:%luKB …`.
fn cgroup_memory(text: &str) -> Option<CgroupMemory> {
    if let Some(rest) = text.strip_prefix("Memory cgroup stats for /") {
        return of_v1(&rest[rest.rfind(": cache:")? + 2..]);
    }
    let mut found = CgroupMemory::default();
    // Only keys with numbers.
    for (index, line) in text.lines().enumerate() {
        let Some((key, value)) = line.split_once(' ') else { return (index > 0).then_some(found) };
        let value: u64 = decimal(value)?;
        match key {
            "anon" | "rss" | "total_rss" => found.anon = Some(value),
            "file" | "cache" | "total_cache" => found.file = Some(value),
            "shmem" | "total_shmem" => found.shmem = Some(value),
            _ if index == 0 => return None,
            _ => {}
        }
    }
    (found != CgroupMemory::default()).then_some(found)
}

fn of_v1(fields: &str) -> Option<CgroupMemory> {
    let mut found = CgroupMemory::default();
    for field in fields.split_ascii_whitespace() {
        let (key, value) = field.split_once(':')?;
        let bytes = decimal::<u64>(value.strip_suffix("KB")?)?.checked_mul(1024);
        match key {
            "cache" => found.file = bytes,
            "rss" => found.anon = bytes,
            "shmem" => found.shmem = bytes,
            _ => {}
        }
    }
    Some(found)
}

/// `Tasks in %s are going to be killed due to memory.oom.group set`
fn group_kill(text: &str) -> Option<Event> {
    let cgroup = text.strip_prefix("Tasks in ")?.strip_suffix(" are going to be killed due to memory.oom.group set")?;
    is_path(cgroup).then_some(())?;
    Some(Event::GroupKill { cgroup: cgroup.to_owned() })
}

/// `Task in %s killed as a result of limit of %s` (before 5.0)
fn legacy_summary(text: &str) -> Option<Event> {
    const RESULT: &str = " killed as a result of limit of ";
    let rest = text.strip_prefix("Task in ")?;
    let splits = || occurrences(rest, RESULT).map(|at| (&rest[..at], &rest[at + RESULT.len()..]));
    let (victim, limit) = splits().find(|(victim, limit)| is_within(victim, limit)).or_else(|| splits().next())?;
    (is_path(victim) && is_path(limit)).then_some(())?;
    Some(Event::LegacySummary { victim_cgroup: victim.to_owned(), limit_cgroup: limit.to_owned() })
}

/// `<why>: Kill process %d (%s) score %u or sacrifice child` (before 5.1)
fn legacy_choice(text: &str) -> Option<Event> {
    let mut reasons = WHY.into_iter();
    let (rest, scope) =
        reasons.find_map(|(why, scope)| Some((text.strip_prefix(why)?.strip_prefix("Kill process ")?, scope)))?;
    let (pid, rest) = rest.split_once(" (")?;
    let (comm, score) = rest.strip_suffix(" or sacrifice child")?.rsplit_once(") score ")?;
    decimal::<i32>(pid)?;
    decimal::<u32>(score)?;
    is_comm(comm).then_some(Event::LegacyChoice { scope })
}

/// `%s invoked oom-killer: gfp_mask=…`
fn invoked(text: &str) -> Option<Event> {
    let (comm, _) = text.split_once(" invoked oom-killer: gfp_mask=")?;
    is_comm(comm).then(|| Event::OomInvoked { comm: comm.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "/kubepods/burstable/pod5dd8aa25-f7a5-416d-b8f4-5e1f709c1da9";

    fn as_killed(text: &str) -> Killed {
        match Event::parse(text) {
            Some(Event::Killed(killed)) => killed,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn as_summary(text: &str) -> OomSummary {
        match Event::parse(text) {
            Some(Event::OomSummary(summary)) => summary,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_kill_line_is_read_in_every_version() {
        let modern = as_killed(
            "Memory cgroup out of memory: Killed process 7199 (sh) total-vm:51428kB, anon-rss:32264kB, file-rss:1520kB, \
             shmem-rss:0kB, UID:1000 pgtables:112kB oom_score_adj:-997",
        );
        assert_eq!((modern.pid, modern.comm.as_str(), modern.scope), (7199, "sh", KillScope::Memcg));
        assert_eq!((modern.total_vm, modern.anon_rss, modern.file_rss), (51428 << 10, 32264 << 10, 1520 << 10));
        assert_eq!((modern.shmem_rss, modern.uid, modern.oom_score_adj), (Some(0), Some(1000), Some(-997)));

        let of_5_1 = as_killed(
            "Out of memory: Killed process 12 (java) total-vm:8kB, anon-rss:4kB, file-rss:2kB, shmem-rss:1kB",
        );
        assert_eq!((of_5_1.scope, of_5_1.shmem_rss, of_5_1.uid), (KillScope::Global, Some(1024), None));

        let of_4_19 = as_killed("Killed process 12 (java) total-vm:8kB, anon-rss:4kB, file-rss:2kB, shmem-rss:1kB");
        assert_eq!((of_4_19.scope, of_4_19.pid, of_4_19.oom_score_adj), (KillScope::Unsaid, 12, None));

        let of_a_distribution = as_killed("Killed process 12 (java), UID 48, total-vm:8kB, anon-rss:4kB, file-rss:2kB");
        assert_eq!((of_a_distribution.comm.as_str(), of_a_distribution.uid), ("java", Some(48)));
        assert_eq!(of_a_distribution.shmem_rss, None);

        let own = "Out of memory (oom_kill_allocating_task): Killed process 3 (a) total-vm:8kB, anon-rss:4kB, \
                   file-rss:2kB, shmem-rss:1kB, UID:0 pgtables:4kB oom_score_adj:0";
        assert_eq!(as_killed(own).scope, KillScope::Global);
    }

    #[test]
    fn a_hostile_name_does_not_move_the_kill_line() {
        for comm in ["a) total-vm:1kB", ") total-vm:9kB,", "x (y) (", "), UID 3,", "Killed process ", "", "\n\u{fffd}"]
        {
            let comm: String = comm.chars().take(15).collect();
            let killed = as_killed(&format!(
                "Memory cgroup out of memory: Killed process 7199 ({comm}) total-vm:51428kB, anon-rss:32264kB, \
                 file-rss:1520kB, shmem-rss:0kB, UID:0 pgtables:112kB oom_score_adj:999"
            ));
            assert_eq!((killed.pid, killed.comm, killed.total_vm), (7199, comm, 51428 << 10));
        }
    }

    #[test]
    fn what_only_announces_a_kill_is_not_one() {
        for text in [
            "foo: Killed process 12 (java) total-vm:8kB, anon-rss:4kB, file-rss:2kB, shmem-rss:1kB",
            "Killed process 12 (java) total-vm:8kB, anon-",
            "Killed process -x (java) total-vm:8kB, anon-rss:4kB, file-rss:2kB",
            // A file of this name crashed where print-fatal-signals is set.
            "Killed process 12 (java) total-vm:8kB, anon-rss:4kB, file-rss:2kB: sh: potentially unexpected fatal signal 11.",
            "Killed process 12 (java) total-vm:8kB, anon-rss:4kB, file-rss:2kB, shmem-rss:1kB, UID:0 pgtables:1kB \
             oom_score_adj:0: sh: potentially unexpected fatal signal 11.",
        ] {
            assert_eq!(Event::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_summary_distinguishes_a_cgroups_limit_from_the_nodes() {
        let of_pod = as_summary(&format!(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=8ac0,mems_allowed=0-1,3,oom_memcg={POD},\
             task_memcg={POD}/8ac0,task=sh,pid=7199,uid=1000"
        ));
        assert_eq!((of_pod.pid, of_pod.comm.as_str(), of_pod.uid), (7199, "sh", 1000));
        assert_eq!(of_pod.limit_cgroup.as_deref(), Some(POD));
        assert_eq!(of_pod.victim_cgroup, Some(format!("{POD}/8ac0")));
        assert_eq!((of_pod.global, of_pod.constraint.as_str()), (false, "CONSTRAINT_MEMCG"));

        let of_node = as_summary(
            "oom-kill:constraint=CONSTRAINT_NONE,nodemask=0,2,cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=a,pid= 9,uid= 0",
        );
        assert_eq!((of_node.global, of_node.limit_cgroup, of_node.victim_cgroup), (true, None, Some("/".to_owned())));

        let without_memcg = as_summary("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=a,pid=9,uid=0");
        assert_eq!((without_memcg.global, without_memcg.victim_cgroup), (false, None));
    }

    #[test]
    fn hostile_names_in_the_summary_change_neither_pid_nor_cgroups() {
        let fourteen = ",pid=1,uid=0,x";
        for comm in
            [",task=a", ",pid=1,uid=0", fourteen, ",task=,task=", "a,task_memcg=/", "\u{fffd}\u{fffd},task=", ""]
        {
            let of_pod = as_summary(&format!(
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg={POD},\
                 task_memcg={POD}/c,task={comm},pid=7199,uid=0"
            ));
            assert_eq!((of_pod.pid, of_pod.comm.as_str()), (7199, comm));
            assert_eq!(of_pod.victim_cgroup, Some(format!("{POD}/c")), "{comm}");
        }
        // A container that may make cgroups names one after another pod.
        let evil = format!("{POD}/c/x,task_memcg=/kubepods/podB");
        let nested = as_summary(&format!(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,global_oom,mems_allowed=0,oom_memcg={evil},\
             task_memcg={evil}/y,task=a,pid=7199,uid=0"
        ));
        assert_eq!(nested.limit_cgroup, Some(evil.clone()));
        assert_eq!(nested.victim_cgroup, Some(format!("{evil}/y")));
        assert!(!nested.global);
        let global = as_summary(&format!(
            "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=x,mems_allowed=0,global_oom,task_memcg={POD}/\
             ,oom_memcg=/a,task_memcg=/b,task=a,pid=7199,uid=0"
        ));
        assert!(global.global);
        assert!(global.victim_cgroup.unwrap().starts_with(POD));
    }

    #[test]
    fn usage_and_limit_are_bytes_and_no_limit_is_none() {
        let usage = |text: &str| Event::parse(text);
        assert_eq!(
            usage("memory: usage 49152kB, limit 49152kB, failcnt 441"),
            Some(Event::LimitUsage { usage: 49152 << 10, limit: Some(49152 << 10) })
        );
        for unlimited in ["9007199254740988", "9007199254740976", "9007199254740928"] {
            let text = format!("memory: usage 4kB, limit {unlimited}kB, failcnt 0");
            assert_eq!(usage(&text), Some(Event::LimitUsage { usage: 4096, limit: None }));
        }
        assert_eq!(usage("memory+swap: usage 49152kB, limit 9007199254740988kB, failcnt 0"), None);
        assert_eq!(usage("memory: usage 18446744073709551615kB, limit 1kB, failcnt 0"), None);
    }

    #[test]
    fn a_group_kill_and_the_summary_before_5_0_name_their_cgroups() {
        assert_eq!(
            Event::parse(&format!("Tasks in {POD}/c are going to be killed due to memory.oom.group set")),
            Some(Event::GroupKill { cgroup: format!("{POD}/c") })
        );
        for victim in [format!("{POD}/c"), format!("{POD}/x killed as a result of limit of /y")] {
            assert_eq!(
                Event::parse(&format!("Task in {victim} killed as a result of limit of {POD}")),
                Some(Event::LegacySummary { victim_cgroup: victim, limit_cgroup: POD.to_owned() })
            );
        }
    }

    #[test]
    fn before_5_1_the_line_before_the_kill_names_the_shortage() {
        for (why, scope) in [
            ("Out of memory", KillScope::Global),
            ("Out of memory (oom_kill_allocating_task)", KillScope::Global),
            ("Memory cgroup out of memory", KillScope::Memcg),
        ] {
            let text = format!("{why}: Kill process 10107 (a) score b) score 1317 or sacrifice child");
            assert_eq!(Event::parse(&text), Some(Event::LegacyChoice { scope }), "{text}");
        }
        for other in [
            "Out of memory: Kill process 1 (a) score 1",
            "x Out of memory: Kill process 1 (a) score 1 or sacrifice child",
        ] {
            assert_eq!(Event::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_allocating_task_is_named_also_with_spaces() {
        for comm in ["runc:[2:INIT]", "a invoked b", ""] {
            let text = format!("{comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=999");
            assert_eq!(Event::parse(&text), Some(Event::OomInvoked { comm: comm.to_owned() }));
        }
    }
}
