//! What the end of a container's log names as the cause. A log is the program's own statement: it counts only where
//! the exit code agrees, and never makes a verdict certain by itself.

use coroner_proto::v1::{Cause, Message};

use super::{crash, death::Death};
use crate::{
    case::NodeFile,
    messages::exit,
    observation::{
        Source,
        kube::{
            ContainerKind,
            message::start::{Refusal, refused_exec},
        },
        log::{Finding, Line, Tail, finding, not_launched},
    },
    verdict::Evidence,
};

/// What was read out of a log.
#[derive(Clone, Debug)]
pub(super) struct LogFinding {
    /// The cause that it names, of those that a log can show together with the exit code.
    pub(super) cause: Option<Cause>,
    /// What contributed.
    pub(super) contributing: Option<Cause>,
    /// The reason, as a phrase.
    pub(super) reason: Message,
    /// The line, as evidence.
    pub(super) line: Evidence,
    /// It is the log of another instance of the same container, which ended with the same code.
    pub(super) of_another: bool,
}

/// What the log of this instance names, else what its termination message does, or else the log of another instance
/// that ended with the same code.
pub(super) fn log_finding(death: &Death<'_>) -> Option<LogFinding> {
    let code = death.code?;
    let logs = logs(death);
    let own = logs.iter().find(|tail| Some(tail.attempt) == death.file.attempt());
    if let Some(found) = own.and_then(|tail| read(death, Source::Logs, &tail.lines, code)) {
        return Some(found);
    }
    if let Some((source, lines)) = termination_message(death)
        && let Some(found) = read(death, source, &lines, code)
    {
        return Some(found);
    }
    let others = logs.iter().rev().filter(|tail| own.is_none() && ended_with(death.node, tail, code));
    let found = others.filter_map(|tail| read(death, Source::Logs, &tail.lines, code)).next()?;
    Some(LogFinding { of_another: true, ..found })
}

/// The lines of the instance's own log, else of its termination message.
pub(super) fn own_lines(death: &Death<'_>) -> Vec<Line> {
    let logs = logs(death);
    let own = logs.iter().find(|tail| Some(tail.attempt) == death.file.attempt());
    let message = || termination_message(death).map(|(_, lines)| lines).unwrap_or_default();
    own.map_or_else(message, |tail| tail.lines.clone())
}

fn logs<'a>(death: &Death<'a>) -> Vec<&'a Tail> {
    let pod = death.node.pod_of(death.file).zip(death.file.name());
    pod.into_iter().flat_map(|(pod, name)| pod.logs(name)).collect()
}

fn evidence(source: Source, line: &Line) -> Evidence {
    Evidence::new(source, line.at, &line.text)
}

/// What the program wrote to its `terminationMessagePath`, or the end of its log that the kubelet took for it. Of a
/// container that the runtime could not start, the message is the runtime's.
fn termination_message(death: &Death<'_>) -> Option<(Source, Vec<Line>)> {
    let ended = &death.file.kubelet.as_ref()?.ended.as_ref()?.what;
    let source = death.node.pod_of(death.file)?.reporter();
    let of_program = !matches!(ended.reason.as_str(), "StartError" | "ContainerCannotRun" | "ContainerStatusUnknown");
    let lines = ended.message.lines().map(|text| Line { at: death.at, stderr: true, text: text.to_owned() });
    (of_program && !ended.message.is_empty()).then(|| (source, lines.collect()))
}

/// Whether the instance of this log ended with this code.
fn ended_with(node: &NodeFile, tail: &Tail, code: i32) -> bool {
    let Some(pod) = node.registry.pod(&tail.pod.uid) else { return false };
    let instances = node.registry.instances(pod);
    let mut same =
        instances.filter(|file| file.name() == Some(tail.container.as_str()) && file.attempt() == Some(tail.attempt));
    same.any(|file| file.reported_exit().is_some_and(|exit| exit.what == code))
}

fn read(death: &Death<'_>, source: Source, all: &[Line], code: i32) -> Option<LogFinding> {
    let found = |cause, reason: fn() -> Message, line| LogFinding {
        cause: Some(cause),
        contributing: None,
        reason: reason(),
        line: evidence(source, line),
        of_another: false,
    };
    // What the runtime itself writes when it has become the container and execve(2) fails, is alone in the log.
    if let [line] = all
        && let Some(cause) = refused_exec(&line.text).and_then(of_command)
    {
        return Some(found(cause, exit::log_exec_failed, line));
    }
    // A launcher ends as soon as it could not start the command.
    if let Some(line) = all.iter().rfind(|line| !line.text.trim().is_empty())
        && let Some(cause) = not_launched(&line.text).and_then(of_command)
    {
        return Some(found(cause, exit::log_exec_failed, line));
    }
    let lines = || all.iter().rev();
    if code == 127
        && let Some(line) = lines().find(|line| is_not_found(&line.text))
    {
        return Some(found(Cause::CommandNotFound, exit::log_command_not_found, line));
    }
    if code == 126
        && let Some((line, cause)) = lines().find_map(|line| Some((line, not_executable(&line.text)?)))
    {
        return Some(found(cause, exit::log_command_not_executable, line));
    }
    if let Some(line) = lines().find(|line| line.text.to_ascii_lowercase().contains("read-only file system"))
        && is_read_only(death, &line.text)
    {
        return Some(found(Cause::ReadOnlyVolume, exit::log_read_only, line));
    }
    let (finding, line) = finding(all)?;
    Some(LogFinding {
        cause: finding.signal().and_then(|signal| crashed_by(signal, code)),
        contributing: finding.is_heap_limit().then_some(Cause::HeapLimit),
        reason: phrase(finding),
        line: evidence(source, line),
        of_another: false,
    })
}

/// The crash that a log names, where the exit code agrees. abort() of a process that ignores SIGABRT, as PID 1 does,
/// ends in SIGSEGV.
fn crashed_by(signal: i32, code: i32) -> Option<Cause> {
    let agrees = code == 128 + signal || (signal, code) == (6, 139);
    crash::cause(signal).filter(|_| agrees)
}

fn phrase(finding: Finding) -> Message {
    match finding {
        Finding::JavaScriptHeap => exit::log_javascript_heap(),
        Finding::JavaMemory => exit::log_java_memory(),
        Finding::JavaNativeMemory => exit::log_java_native_memory(),
        Finding::JavaCrash => exit::log_java_crash(),
        Finding::JavaStart => exit::log_java_start(),
        Finding::JavaException => exit::log_java(),
        Finding::DotnetMemory => exit::log_dotnet_memory(),
        Finding::DotnetException => exit::log_dotnet(),
        Finding::DotnetRuntime => exit::log_dotnet_runtime(),
        Finding::GoMemory => exit::log_go_memory(),
        Finding::GoFatal => exit::log_go_fatal(),
        Finding::Panic => exit::log_panic(),
        Finding::RustAbort => exit::log_rust_abort(),
        Finding::PythonMemory => exit::log_python_memory(),
        Finding::PythonModule => exit::log_python_module(),
        Finding::PythonFatal => exit::log_python_fatal(),
        Finding::PythonException => exit::log_python(),
        Finding::NodeModule => exit::log_node_module(),
        Finding::NodeException => exit::log_node(),
        Finding::PhpMemory => exit::log_php_memory(),
        Finding::PhpFatal => exit::log_php(),
        Finding::RubyCrash => exit::log_ruby_crash(),
        Finding::RubyMemory => exit::log_ruby_memory(),
        Finding::RubyException => exit::log_ruby(),
        Finding::HeapCorrupted => exit::log_heap_corrupted(),
        Finding::BufferOverrun => exit::log_buffer_overrun(),
        Finding::Assertion => exit::log_assertion(),
        Finding::CppException => exit::log_cpp(),
        Finding::Signal(signal) => exit::log_signal(signal),
        Finding::Library => exit::log_library(),
        Finding::Threads => exit::log_threads(),
        Finding::Memory => exit::log_memory(),
        Finding::Files => exit::log_files(),
        Finding::AddressInUse => exit::log_address_in_use(),
        Finding::NoSpace => exit::log_no_space(),
        Finding::Nginx => exit::log_nginx(),
        Finding::Postgres => exit::log_postgres(),
        Finding::Certificate => exit::log_certificate(),
        Finding::Login => exit::log_login(),
        Finding::NameResolution => exit::log_name_resolution(),
        Finding::Refused => exit::log_refused(),
        Finding::TimedOut => exit::log_timed_out(),
        Finding::Permission => exit::log_permission(),
        Finding::MissingFile => exit::log_missing_file(),
    }
}

/// The cause that a refusal is, where it is about the command.
fn of_command(refusal: Refusal) -> Option<Cause> {
    match refusal {
        Refusal::WrongFormat => Some(Cause::WrongArchitecture),
        Refusal::NotFound => Some(Cause::CommandNotFound),
        Refusal::NotExecutable => Some(Cause::CommandNotExecutable),
        Refusal::NoCommand | Refusal::OutOfMemory | Refusal::Device => None,
    }
}

/// `sh: foo: not found`, `bash: line 1: foo: command not found`, `/bin/sh: 1: foo: not found`.
fn is_not_found(line: &str) -> bool {
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
    fn a_missing_command_is_distinguished_from_a_missing_file() {
        for line in ["sh: serve: not found", "bash: line 1: serve: command not found", "/bin/sh: 1: /x/y: not found"] {
            assert!(is_not_found(line), "{line}");
        }
        for line in ["open /etc/x: no such file or directory", "user 7 not found", "404 Not Found"] {
            assert!(!is_not_found(line), "{line}");
        }
    }
}
