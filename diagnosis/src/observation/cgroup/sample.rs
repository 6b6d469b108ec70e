//! Files of one cgroup: `mm/memcontrol.c`, `mm/memcontrol-v1.c`, `kernel/sched/core.c`, `kernel/cgroup/pids.c`.

use super::{Limit, Sample};
use crate::parse::decimal;

/// v1 has no word for "no limit": it is `PAGE_COUNTER_MAX` pages, in bytes, and this is the smallest that it can be
/// (with pages of 64 KiB; with 4 KiB it is 9223372036854771712).
const V1_UNLIMITED: u64 = (i64::MAX as u64) & !0xffff;

impl Sample {
    /// The files that a sample is made of on cgroup v2.
    pub const FILES_V2: &[&str] = &[
        "memory.max",
        "memory.high",
        "memory.pressure",
        "memory.swap.max",
        "memory.swap.current",
        "memory.current",
        "memory.peak",
        "memory.events.local",
        "memory.events",
        "memory.oom.group",
        "memory.stat",
        "cpu.stat",
        "pids.current",
        "pids.max",
        "pids.events",
        "cgroup.procs",
    ];

    /// The same on cgroup v1, where a file stands in the hierarchy of the controller that its name begins with;
    /// `cgroup.procs` is read in memory's.
    pub const FILES_V1: &[&str] = &[
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "memory.max_usage_in_bytes",
        "memory.failcnt",
        "memory.oom_control",
        "memory.stat",
        "cpu.stat",
        "pids.current",
        "pids.max",
        "pids.events",
        "cgroup.procs",
    ];

    /// From pairs of a file's name and what it held, of v1 or v2, in any order. Files it does not know are passed over,
    /// and what a file does not contain stays unknown: before 5.3 there is no `memory.events.local`, and the numbers of
    /// `memory.events`, which count all that is below, are not taken for it.
    pub fn from_files<N: AsRef<str>, C: AsRef<str>>(
        path: impl Into<String>,
        files: impl IntoIterator<Item = (N, C)>,
    ) -> Self {
        let mut sample = Self { path: path.into(), ..Self::default() };
        for (name, contents) in files {
            sample.take(name.as_ref(), contents.as_ref());
        }
        sample
    }

    fn take(&mut self, name: &str, contents: &str) {
        let number = || decimal(contents.trim_ascii());
        let value = |key: &str| value(contents, key);
        match name {
            "memory.max" | "memory.limit_in_bytes" => self.memory_limit = limit(contents),
            "memory.high" => self.memory_high = limit(contents),
            "memory.pressure" => self.memory_stalled = stalled(contents),
            "memory.swap.max" => self.swap_limit = limit(contents),
            "memory.swap.current" => self.swap_usage = number(),
            "memory.current" | "memory.usage_in_bytes" => self.memory_usage = number(),
            "memory.peak" | "memory.max_usage_in_bytes" => self.memory_peak = number(),
            "memory.failcnt" => self.limit_hits = number(),
            "memory.oom_control" => self.oom_kills = value("oom_kill"),
            "memory.events.local" => {
                self.high_hits = value("high");
                self.limit_hits = value("max");
                self.ooms = value("oom");
                self.oom_kills = value("oom_kill");
                self.oom_group_kills = value("oom_group_kill");
            }
            "memory.events" => self.oom_kills_below = value("oom_kill"),
            "memory.oom.group" => self.oom_group = number().map(|group: u64| group != 0),
            "memory.stat" => {
                // Where v1 and v2 share a name (`shmem`), v1 means this cgroup alone and its `total_` all below, as v2
                // does.
                self.anon = value("total_rss").or_else(|| value("anon"));
                self.file = value("total_cache").or_else(|| value("file"));
                self.shmem = value("total_shmem").or_else(|| value("shmem"));
                self.kernel = value("kernel");
            }
            "cpu.stat" => {
                self.cpu_periods = value("nr_periods");
                self.cpu_throttled_periods = value("nr_throttled");
            }
            "pids.current" => self.pids_current = number(),
            "pids.max" => self.pids_limit = limit(contents),
            "pids.events" => self.pids_limit_hits = value("max"),
            // 0 is a process of another pid namespace.
            "cgroup.procs" => {
                self.processes = contents.lines().filter_map(decimal).filter(|pid: &i32| *pid > 0).collect();
            }
            _ => {}
        }
    }
}

/// `full avg10=71.20 avg60=…`, in whole percent (`kernel/sched/psi.c`).
fn stalled(contents: &str) -> Option<u8> {
    let full = contents.lines().find_map(|line| line.strip_prefix("full avg10="))?;
    decimal(full.split(['.', ' ']).next()?)
}

/// The value at a key, of lines of a key and a value.
fn value(contents: &str, key: &str) -> Option<u64> {
    contents.lines().find_map(|line| decimal(line.strip_prefix(key)?.strip_prefix(' ')?))
}

fn limit(contents: &str) -> Option<Limit> {
    match contents.trim_ascii() {
        "max" => Some(Limit::Unlimited),
        number => decimal(number)
            .map(|bytes: u64| if bytes >= V1_UNLIMITED { Limit::Unlimited } else { Limit::Limited(bytes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_v2_are_read() {
        let sample = Sample::from_files(
            "/kubepods",
            [
                ("memory.max", "67108864\n"),
                ("memory.current", "327680\n"),
                ("memory.peak", "13529088\n"),
                ("memory.events", "low 0\nhigh 0\nmax 9\noom 5\noom_kill 7\noom_group_kill 2\nsock_throttled 0\n"),
                ("memory.events.local", "low 0\nhigh 0\nmax 4\noom 3\noom_kill 2\noom_group_kill 1\n"),
                ("memory.oom.group", "1\n"),
                ("memory.stat", "anon 110592\nfile 4096\nkernel 217088\nkernel_stack 32768\nshmem 1024\n"),
                ("cpu.stat", "usage_usec 632750\nnr_periods 12\nnr_throttled 3\n"),
                ("pids.current", "2\n"),
                ("pids.max", "max\n"),
                ("pids.events", "max 8\n"),
                ("cgroup.procs", "0\n3428\n3506\n"),
                ("memory.pressure", "some avg10=93.00 avg60=1.00\nfull avg10=71.20 avg60=0.00 avg300=0.00 total=7\n"),
                ("memory.high", "53687091\n"),
                ("memory.swap.max", "1048576\n"),
                ("memory.swap.current", "4096\n"),
            ],
        );
        let expected = Sample {
            path: "/kubepods".to_owned(),
            memory_limit: Some(Limit::Limited(67_108_864)),
            memory_high: Some(Limit::Limited(53_687_091)),
            high_hits: Some(0),
            memory_stalled: Some(71),
            swap_limit: Some(Limit::Limited(1_048_576)),
            swap_usage: Some(4096),
            memory_usage: Some(327_680),
            memory_peak: Some(13_529_088),
            limit_hits: Some(4),
            ooms: Some(3),
            oom_kills: Some(2),
            oom_kills_below: Some(7),
            oom_group_kills: Some(1),
            oom_group: Some(true),
            anon: Some(110_592),
            file: Some(4096),
            shmem: Some(1024),
            kernel: Some(217_088),
            cpu_periods: Some(12),
            cpu_throttled_periods: Some(3),
            pids_current: Some(2),
            pids_limit: Some(Limit::Unlimited),
            pids_limit_hits: Some(8),
            processes: vec![3428, 3506],
        };
        assert_eq!(sample, expected);
    }

    #[test]
    fn files_of_v1_are_read() {
        let sample = Sample::from_files(
            "/kubepods",
            [
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory.failcnt", "652\n"),
                ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
                (
                    "memory.stat",
                    "cache 1\nrss 2\nshmem 3\ntotal_cache 10\ntotal_rss 20\ntotal_rss_huge 5\ntotal_shmem 30\n",
                ),
            ],
        );
        assert_eq!(sample.memory_limit, Some(Limit::Unlimited));
        assert_eq!((sample.limit_hits, sample.oom_kills), (Some(652), Some(3)));
        assert_eq!((sample.anon, sample.file, sample.shmem, sample.kernel), (Some(20), Some(10), Some(30), None));
        assert_eq!((sample.ooms, sample.oom_kills_below, sample.oom_group), (None, None, None));
    }

    #[test]
    fn numbers_of_all_below_are_not_taken_for_the_cgroups_own() {
        let sample = Sample::from_files("/", [("memory.events", "max 9\noom 5\noom_kill 7\n")]);
        assert_eq!((sample.limit_hits, sample.ooms, sample.oom_kills), (None, None, None));
        assert_eq!(sample.oom_kills_below, Some(7));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let sample = Sample::from_files(
            "/",
            [("memory.max", "-1"), ("memory.oom.group", ""), ("pids.max", "x"), ("cgroup.procs", "a\n")],
        );
        assert_eq!(sample, Sample { path: "/".to_owned(), ..Sample::default() });
        assert_eq!(limit("9223372036854710272"), Some(Limit::Unlimited), "pages of 64 KiB");
        assert_eq!(limit("9223372036854000000"), Some(Limit::Limited(9_223_372_036_854_000_000)));
    }
}
