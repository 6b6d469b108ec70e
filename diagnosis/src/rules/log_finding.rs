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
        log::{Finding, Line, Tail, finding, not_launched, plain},
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
    let lines = ended.message.lines().map(|text| Line { at: death.at, stderr: true, text: plain(text).into_owned() });
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
    let (finding, line) = finding(all, code)?;
    Some(LogFinding {
        cause: finding.signal().filter(|_| finding.agrees(code)).and_then(crash::cause),
        contributing: finding.is_heap_limit().then_some(Cause::HeapLimit),
        reason: phrase(finding),
        line: evidence(source, line),
        of_another: false,
    })
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
        Finding::Panic | Finding::RustPanic => exit::log_panic(),
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
        Finding::Abort => exit::log_abort(),
        Finding::Sanitizer => exit::log_sanitizer(),
        Finding::Signal(signal) => exit::log_signal(signal),
        Finding::Processor => exit::log_processor(),
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
        Refusal::NoCommand | Refusal::OutOfMemory | Refusal::Device | Refusal::Volume | Refusal::ImageVolume => None,
    }
}

/// Whether a shell reports that it did not find a command: `sh: foo: not found`, `bash: line 1: foo: command not
/// found`, `/bin/sh: 1: foo: not found`, `x.sh: line 2: /srv/foo: No such file or directory`, `zsh:1: command not
/// found: foo`.
fn is_not_found(line: &str) -> bool {
    let line = line.trim_end();
    let ends = [": command not found", ": not found", ": No such file or directory"];
    let of_zsh = line.split_once(": command not found: ").is_some_and(|(place, _)| is_shell(place));
    of_zsh || ends.iter().find_map(|end| line.strip_suffix(end)).is_some_and(by_shell)
}

/// Whether a message begins with the name of a shell or script, or with a script and the number of its line; other
/// words may stand before, as a time.
fn by_shell(message: &str) -> bool {
    let parts: Vec<&str> = message.split(": ").collect();
    let is_number = |part: &str| {
        let number = part.strip_prefix("line ").unwrap_or(part);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let named = parts.windows(2).any(|pair| is_shell(pair[0]));
    named || parts.windows(3).any(|three| !three[0].is_empty() && is_number(three[1]))
}

/// Whether the last word is a shell or a script, as `sh`, `-bash`, `/srv/run.sh`, `zsh:1` or `ksh[3]`.
fn is_shell(place: &str) -> bool {
    let word = place.rsplit([' ', '/']).next().unwrap_or_default().trim_start_matches('-');
    let name = word.split([':', '[']).next().unwrap_or_default();
    matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "busybox") || name.ends_with(".sh")
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
        for line in [
            "sh: serve: not found",
            "/bin/ash: serve: not found",
            "-bash: serve: command not found",
            "bash: line 1: serve: command not found",
            "/bin/sh: 1: /x/y: not found",
            "/entrypoint: line 3: exec: serve: not found",
            "/run.sh: 20: /run.sh: ./serve: not found",
            "2026-11-20 22:10:00 ERROR: /entrypoint.sh: line 3: serve: command not found ",
            "bash: /app/start.sh: No such file or directory",
            "zsh: command not found: serve",
            "/run.sh:3: command not found: serve",
        ] {
            assert!(is_not_found(line), "{line}");
        }
        for line in [
            "open /etc/x: no such file or directory",
            "user 7 not found",
            "404 Not Found",
            "warning: optional plugin: not found",
            "plugin: not found",
            "cat: /etc/x: No such file or directory",
            "hint: command not found: use the other",
        ] {
            assert!(!is_not_found(line), "{line}");
        }
    }
}
