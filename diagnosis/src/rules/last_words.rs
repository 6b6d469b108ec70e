//! What the end of a container's log names as the cause. A log says what the program wished to say: it is believed only where
//! the exit code agrees, and never makes a verdict certain by itself.

use coroner_proto::v1::Cause;

use super::death::Death;
use crate::{
    case::NodeFile,
    observation::{
        kube::{
            ContainerKind,
            message::start::{Refusal, refused_exec},
        },
        log::{Line, Tail},
    },
};

/// What was read out of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastWords<'a> {
    /// The cause that it names, of those that a log can show together with the exit code.
    pub(super) cause: Option<Cause>,
    /// What contributed.
    pub(super) contributing: Option<Cause>,
    /// In words, as "an address is already in use".
    pub(super) means: &'static str,
    /// The line.
    pub(super) line: &'a Line,
    /// It is the log of another instance of the same container, which ended with the same code.
    pub(super) of_another: bool,
}

/// What the log of this instance names, or else that of another instance that ended with the same code.
pub(super) fn last_words<'a>(death: &Death<'a>) -> Option<LastWords<'a>> {
    let code = death.code?;
    let name = death.file.name()?;
    let attempt = death.file.attempt();
    let logs: Vec<_> = death.node.pod_of(death.file)?.logs(name).collect();
    let own = logs.iter().find(|tail| Some(tail.attempt) == attempt);
    if let Some(words) = own.and_then(|tail| read(death, tail, code)) {
        return Some(words);
    }
    let others = logs
        .iter()
        .rev()
        .filter(|tail| own.is_none() && Some(tail.attempt) != attempt && ended_with(death.node, tail, code));
    let words = others.filter_map(|tail| read(death, tail, code)).next()?;
    Some(LastWords { of_another: true, ..words })
}

/// Whether the instance of this log ended with this code.
fn ended_with(node: &NodeFile, tail: &Tail, code: i32) -> bool {
    let Some(pod) = node.registry.pod(&tail.pod.uid) else { return false };
    let instances = node.registry.instances(pod);
    let mut same =
        instances.filter(|file| file.name() == Some(tail.container.as_str()) && file.attempt() == Some(tail.attempt));
    same.any(|file| file.reported_exit().is_some_and(|exit| exit.what == code))
}

fn read<'a>(death: &Death<'a>, tail: &'a Tail, code: i32) -> Option<LastWords<'a>> {
    let found = |cause, contributing, means, line| LastWords { cause, contributing, means, line, of_another: false };
    // What the runtime itself writes when it has become the container and execve(2) fails, is alone in the log.
    if let [line] = &tail.lines[..]
        && let Some(cause) = failed_exec(&line.text)
    {
        return Some(found(Some(cause), None, "its program could not be executed", line));
    }
    let lines = || tail.lines.iter().rev();
    if code == 127
        && let Some(line) = lines().find(|line| says_not_found(&line.text))
    {
        return Some(found(Some(Cause::CommandNotFound), None, "a shell did not find a command", line));
    }
    if code == 126
        && let Some((line, cause)) = lines().find_map(|line| Some((line, not_executable(&line.text)?)))
    {
        return Some(found(Some(cause), None, "a shell could not execute a command", line));
    }
    if let Some(line) = lines().find(|line| line.text.to_ascii_lowercase().contains("read-only file system"))
        && is_read_only(death, &line.text)
    {
        let means = "it wrote to what is mounted read-only";
        return Some(found(Some(Cause::ReadOnlyVolume), None, means, line));
    }
    for (words, contributing, means) in KNOWN {
        if let Some(line) = lines().find(|line| words.iter().all(|word| line.text.contains(word))) {
            return Some(found(None, *contributing, means, line));
        }
    }
    None
}

/// Words of well-known runtimes and of the C library for what ends programs: all of a row stand in one line.
const KNOWN: &[(&[&str], Option<Cause>, &str)] = &[
    (&["JavaScript heap out of memory"], Some(Cause::HeapLimit), "the JavaScript heap reached its own limit"),
    (&["java.lang.OutOfMemoryError"], Some(Cause::HeapLimit), "the Java virtual machine reached a limit of its own"),
    (&["OutOfMemoryException"], Some(Cause::HeapLimit), "the .NET heap reached its own limit"),
    (&["fatal error: runtime: out of memory"], None, "the Go runtime got no more memory"),
    (&["ddress already in use"], None, "an address that it listens on is already in use"),
    (&["EADDRINUSE"], None, "an address that it listens on is already in use"),
    (&["No space left on device"], None, "a file system is full"),
    (&["Permission denied"], None, "it was denied access to something"),
    (&["panic: "], None, "it panicked"),
    (&["thread '", "panicked at"], None, "it panicked"),
    (&["Traceback (most recent call last)"], None, "a Python exception was not caught"),
    (&["Exception in thread \""], None, "a Java exception was not caught"),
    (&["Unhandled exception."], None, "a .NET exception was not caught"),
    (&["error while loading shared libraries"], None, "a shared library is missing"),
    (&["no such host"], None, "a name could not be resolved"),
    (&["connection refused"], None, "something that it needs refused the connection"),
    (&["Connection refused"], None, "something that it needs refused the connection"),
    (&["o such file or directory"], None, "a file is missing"),
];

/// What the runtime's first process says in the container's log.
fn failed_exec(line: &str) -> Option<Cause> {
    match refused_exec(line)? {
        Refusal::WrongFormat => Some(Cause::WrongArchitecture),
        Refusal::NotFound => Some(Cause::CommandNotFound),
        Refusal::NotExecutable => Some(Cause::CommandNotExecutable),
        Refusal::NoCommand | Refusal::OutOfMemory | Refusal::Device => None,
    }
}

/// `sh: foo: not found`, `bash: line 1: foo: command not found`, `/bin/sh: 1: foo: not found`.
fn says_not_found(line: &str) -> bool {
    let line = line.trim_end();
    line.ends_with(": not found")
        || line.ends_with("command not found")
        || line.contains(": command not found: ")
        || line.ends_with("No such file or directory") && line.contains("sh: ")
}

fn not_executable(line: &str) -> Option<Cause> {
    let lower = line.to_ascii_lowercase();
    if lower.contains("exec format error") || lower.contains("cannot execute binary file") {
        Some(Cause::WrongArchitecture)
    } else if lower.contains("permission denied") || lower.contains("is a directory") {
        Some(Cause::CommandNotExecutable)
    } else {
        None
    }
}

/// Whether the container has something that is mounted read-only, and the line names a path below it, if it names any.
fn is_read_only(death: &Death<'_>, line: &str) -> bool {
    let pod = death.node.pod_of(death.file).and_then(|pod| pod.object());
    let wanted = pod.zip(death.file.name()).and_then(|(pod, name)| pod.container(name));
    let Some(wanted) = wanted else { return true };
    if wanted.read_only_root || wanted.kind == ContainerKind::Ephemeral {
        return true;
    }
    let mut paths =
        line.split(|c: char| c.is_whitespace() || "'\"`,;()".contains(c)).filter(|word| word.starts_with('/'));
    let below = |path: &str| wanted.read_only_mounts.iter().any(|mount| path.starts_with(mount.trim_end_matches('/')));
    match paths.next() {
        Some(first) => below(first) || paths.any(below),
        None => !wanted.read_only_mounts.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_missing_command_from_a_missing_file() {
        for line in ["sh: serve: not found", "bash: line 1: serve: command not found", "/bin/sh: 1: /x/y: not found"] {
            assert!(says_not_found(line), "{line}");
        }
        for line in ["open /etc/x: no such file or directory", "user 7 not found", "404 Not Found"] {
            assert!(!says_not_found(line), "{line}");
        }
    }
}
