//! Which of the kernel's lines a text is.

use super::{Event, audit, fault, oom, record, trouble};
use crate::parse::{decimal, is_comm};

/// That of a record whose every byte was replaced by a character of three. It bounds the time that a hostile text
/// costs.
const TEXT_MAX: usize = 3 * record::RECORD_MAX;

impl Event {
    /// The contents of a record about a death or about what led to one.
    ///
    /// Only text of facility 0 is the kernel's; the caller has checked that. Even there, names that programs chose for
    /// themselves are part of the line and may imitate it. Each format is therefore compared from the first character
    /// of the record to its last, and a name is accepted only where the kernel puts one and as long as the kernel lets
    /// it be. A text longer than that of any record is no event.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_MAX {
            return None;
        }
        oom::parse(text)
            .or_else(|| audit::parse(text))
            .or_else(|| fault::parse(text).map(Self::Fault))
            .or_else(|| fork_rejected(text))
            .or_else(|| memory_failure(text))
            .or_else(|| trouble::parse(text).map(Self::Trouble))
    }
}

/// `kernel/cgroup/pids.c`.
fn fork_rejected(text: &str) -> Option<Event> {
    let cgroup = text.strip_prefix("cgroup: fork rejected by pids controller in ")?;
    oom::is_path(cgroup).then_some(())?;
    Some(Event::ForkRejected { cgroup: cgroup.to_owned() })
}

/// `mm/memory-failure.c` (`kill_proc`, `kill_procs`; `MCE 0x…` before 4.6), `drivers/acpi/apei/ghes.c`, and
/// `arch/x86/mm/fault.c` (`do_sigbus`).
fn memory_failure(text: &str) -> Option<Event> {
    let page = ["Memory failure: 0x", "MCE 0x", "GHES: 0x"].iter().find_map(|start| text.strip_prefix(start));
    let who = if let Some(rest) = page {
        let (_, action) = rest.split_once(": ")?;
        let who =
            ["Killing ", "Sending SIGBUS to ", "forcibly killing "].iter().find_map(|a| action.strip_prefix(a))?;
        [" due to hardware memory corruption", " because of failure to unmap corrupted page"]
            .iter()
            .find_map(|reason| who.strip_suffix(reason))?
    } else {
        let rest = text.strip_prefix("MCE: Killing ")?;
        &rest[..rest.rfind(" due to hardware memory corruption fault at ")?]
    };
    let (comm, pid) = who.rsplit_once(':')?;
    is_comm(comm).then_some(())?;
    Some(Event::HardwareMemoryError { pid: decimal(pid)?, comm: comm.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_fork_names_the_cgroup() {
        let text = "cgroup: fork rejected by pids controller in /kubepods/burstable/pod1/c";
        let cgroup = "/kubepods/burstable/pod1/c".to_owned();
        assert_eq!(Event::parse(text), Some(Event::ForkRejected { cgroup }));
    }

    #[test]
    fn a_hardware_memory_error_names_the_process_in_every_wording() {
        for text in [
            "Memory failure: 0x1f2a3: Killing a:b c:412 due to hardware memory corruption",
            "Memory failure: 0x1f2a3: Sending SIGBUS to a:b c:412 due to hardware memory corruption",
            "Memory failure: 0x1f2a3: forcibly killing a:b c:412 because of failure to unmap corrupted page",
            "MCE 0x1f2a3: Killing a:b c:412 due to hardware memory corruption",
            "MCE 0x1f2a3: forcibly killing a:b c:412 because of failure to unmap corrupted page",
            "GHES: 0x1f2a3: Sending SIGBUS to a:b c:412 due to hardware memory corruption",
            "MCE: Killing a:b c:412 due to hardware memory corruption fault at 7f0012345000",
        ] {
            let comm = "a:b c".to_owned();
            assert_eq!(Event::parse(text), Some(Event::HardwareMemoryError { pid: 412, comm }), "{text}");
        }
        assert_eq!(Event::parse("Memory failure: 0x1f2a3: recovery action for dirty LRU page: Recovered"), None);
    }

    #[test]
    fn the_memory_of_a_cgroup_is_read_in_the_form_of_every_kernel() {
        use crate::observation::kernel_log::CgroupMemory;
        let all = CgroupMemory { anon: Some(4096), file: Some(8192), shmem: Some(2048) };
        let v1 = "Memory cgroup stats for /kubepods/pod1/c: cache:8KB rss:4KB rss_huge:0KB shmem:2KB mapped_file:0KB";
        for (text, expected) in [
            ("anon 4096\nfile 8192\nkernel_stack 0\nshmem 2048\nfile_map", all),
            (v1, all),
            ("total_rss 4096", CgroupMemory { anon: Some(4096), ..CgroupMemory::default() }),
            ("shmem 2048", CgroupMemory { shmem: Some(2048), ..CgroupMemory::default() }),
        ] {
            assert_eq!(Event::parse(text), Some(Event::CgroupMemory(expected)), "{text}");
        }
        for text in ["kernel_stack 0", "anon x", "anon 4096 x", "file 8192kB"] {
            assert_eq!(Event::parse(text), None, "{text}");
        }
    }

    #[test]
    fn other_lines_of_the_kernel_are_no_event() {
        for text in [
            "",
            "Call Trace:",
            "oom_kill_process: 14 callbacks suppressed",
            "oom_reaper: reaped process 1 (a), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
            "a: page allocation failure: order:0, mode:0x1",
            "Out of memory: OOM victim 1 (a) is already exiting. Skip killing the task",
            "Out of memory and no killable processes...",
            "Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF",
            "cni0: port 1(vethf9920dcf) entered blocking state",
        ] {
            assert_eq!(Event::parse(text), None, "{text}");
        }
    }
}
