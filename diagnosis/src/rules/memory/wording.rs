//! How a kill for memory is worded: by whom it hit, whose limit was reached, and the memory at that time.

use coroner_proto::v1::{Cause, Memory, Message, OomScope, Process};

use super::shortage::Shortage;
use crate::messages::{common, memory};

/// Parts of a process' or container's memory below this are left out.
const NEGLIGIBLE: u64 = 1 << 20;

/// What the killed process was to its container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The main process alone.
    Main,
    /// The main process, and all others with it.
    Group,
    /// Another process, and the main one with it.
    GroupOfChild,
    /// One of which it is not known whether it was the main process.
    Unknown,
    /// A child; the main process was not affected.
    Child,
    /// A process that was started by exec; the main process was not affected.
    Exec,
    /// A child; the main process then ended by itself with this status.
    LastChild(i32),
    /// The process that would have become the command.
    Starter,
}

pub(super) fn headline(role: Role, shortage: &Shortage, limit: Option<u64>) -> Message {
    match (role, shortage.cause) {
        (Role::Child | Role::Exec, Cause::OomNestedLimit) => memory::oom_nested_child(),
        (Role::LastChild(_), Cause::OomNestedLimit) => memory::oom_last_child(),
        (_, Cause::OomNestedLimit) => memory::oom_nested(),
        (Role::Child | Role::Exec, Cause::OomNode) if shortage.scope == OomScope::Kubepods => {
            memory::oom_child_kubepods()
        }
        (Role::Child | Role::Exec, Cause::OomNode) => memory::oom_child_node(),
        (Role::Exec, _) => memory::oom_exec(),
        (Role::Child, _) => memory::oom_child(),
        (Role::LastChild(_), _) => memory::oom_last_child(),
        (Role::Starter, Cause::OomContainerLimit) => memory::oom_at_start(),
        (_, Cause::OomNode) if shortage.scope == OomScope::Kubepods => memory::oom_kubepods(),
        (_, Cause::OomNode) => memory::oom_node(),
        (_, Cause::OomPodLimit) => limit.map_or_else(memory::oom_pod, memory::oom_pod_limit),
        (_, Cause::OomContainerLimit) => limit.map_or_else(memory::oom_container, memory::oom_container_limit),
        _ => memory::oom_unknown(),
    }
}

/// Who was killed.
pub(super) fn killed(role: Role, process: &Process) -> Message {
    let process = named(process);
    match role {
        Role::Main => memory::oom_killed_main(process),
        Role::Group => memory::oom_killed_group(process),
        Role::GroupOfChild => memory::oom_killed_group_of_child(process),
        Role::Unknown => memory::oom_killed_one(process),
        Role::Child => memory::oom_killed_child(process),
        Role::Exec => memory::oom_killed_exec(process),
        Role::LastChild(code) => memory::oom_killed_last_child(process, code),
        Role::Starter => memory::oom_killed_starter(process),
    }
}

/// Whether a part of the memory is worth mentioning.
fn counts(size: &u64) -> bool {
    *size >= NEGLIGIBLE
}

/// A process with the memory that it held, by kind.
fn named(process: &Process) -> Message {
    let Process { pid, name, anon_rss_bytes, file_rss_bytes, shmem_rss_bytes, .. } = process;
    let parts = [
        anon_rss_bytes.filter(counts).map(memory::oom_part_anonymous),
        file_rss_bytes.filter(counts).map(memory::oom_part_file),
        shmem_rss_bytes.filter(counts).map(memory::oom_part_shared),
    ];
    let parts: Vec<Message> = parts.into_iter().flatten().collect();
    match (name.is_empty(), parts.is_empty()) {
        (true, _) => common::process_nameless(*pid),
        (false, true) => common::process_named(name, *pid),
        (false, false) => memory::oom_process_memory(name, *pid, parts),
    }
}

/// What the container's memory consisted of. `None` where it was of one kind, which the process shows already.
pub(super) fn composition(of: &Memory, at_kill: bool) -> Option<Message> {
    // The cache of a cgroup includes its shared memory.
    let cache = of.file_bytes.map(|file| file.saturating_sub(of.shmem_bytes.unwrap_or(0)));
    let parts = [
        of.anon_bytes.filter(counts).map(memory::oom_part_anonymous),
        cache.filter(counts).map(memory::oom_part_cache),
        of.shmem_bytes.filter(counts).map(memory::oom_part_shared),
        // The kernel's report of a kill leaves it out.
        of.kernel_bytes.filter(|bytes| !at_kill && counts(bytes)).map(memory::oom_part_kernel),
    ];
    let parts: Vec<Message> = parts.into_iter().flatten().collect();
    let sentence = if at_kill { memory::oom_cgroup_memory } else { memory::oom_container_memory };
    (parts.len() > 1).then(|| sentence(parts))
}
