//! The runtime could not start the container, and says why.
//!
//! The runtime's message comes from `runc` (`libcontainer/init_linux.go`, `process_linux.go`) or `crun`
//! (`src/libcrun/linux.c`), wrapped by containerd or CRI-O. What the kernel's execve(2) refused stands behind the quoted
//! program; anything else that failed on the way there is the container's making, not its command.

use coroner_proto::v1::{Cause, Confidence};

use super::death::Death;
use crate::{observation::Source, text, verdict::Verdict};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let reported = death.reported()?;
    let refused = matches!(reported.reason, "StartError" | "ContainerCannotRun");
    // Of the kubelet's words, those of the runtime have such a reason; others may be the program's own.
    let of_runtime = matches!(reported.source, Source::Cri | Source::Docker);
    let by_runtime = of_runtime && !reported.message.is_empty() && !death.started();
    if !refused && !by_runtime {
        return None;
    }
    let message = reported.message;
    let (cause, summary) = match refusal(message) {
        Some(Refusal::NotFound) => (Cause::CommandNotFound, "Never started: its command does not exist in the image"),
        Some(Refusal::NotExecutable) => (Cause::CommandNotExecutable, "Never started: its command may not be executed"),
        Some(Refusal::WrongFormat) => (Cause::WrongArchitecture, "Never started: its command is not for this machine"),
        Some(Refusal::NoCommand) => (Cause::CommandMissing, "Never started: neither pod nor image names a command"),
        None if message.contains("OOM-killed") => {
            // runc's own word; with the kernel's, the rules for memory have spoken already.
            let explanation = format!(
                "The runtime says that it was killed for memory before its command could run: {}",
                text::clean(message, 512)
            );
            let mut verdict = Verdict::new(Cause::OomContainerLimit, Confidence::Likely, death.at)
                .told("Never started: the memory limit is too low for the start itself", explanation)
                .by(reported.source, death.at, message)
                .without(Source::KernelLog)
                .waiting();
            verdict.exit = death.exit(9);
            return Some(verdict);
        }
        None => (Cause::ContainerCreateFailed, "Never started: the runtime could not make the container"),
    };
    let explanation = format!("The runtime refused to start it: {}", text::clean(innermost(message), 1024));
    let mut verdict = Verdict::new(cause, Confidence::Certain, death.at).told(summary, explanation).by(
        reported.source,
        death.at,
        format!("{} (exit code {}): {message}", reported.reason, reported.code),
    );
    verdict.exit = death.exit(0);
    Some(verdict)
}

#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    NotFound,
    NotExecutable,
    WrongFormat,
    NoCommand,
}

/// What execve(2), or the search for the program before it, refused. `None` if the message is about something else.
fn refusal(message: &str) -> Option<Refusal> {
    if message.contains("no command specified") {
        return Some(Refusal::NoCommand);
    }
    // runc: `exec: "prog": …` or `exec /prog: …`; crun: `executable file `prog` not found …`, `exec container process …: …`.
    let about_program = ["exec: \"", "exec /", "exec container process", "executable file "];
    let start = about_program.iter().filter_map(|mark| message.rfind(mark)).min()?;
    let clause = &message[start..];
    if clause.contains("exec format error") || clause.contains("Exec format error") {
        Some(Refusal::WrongFormat)
    } else if clause.contains("permission denied")
        || clause.contains("Permission denied")
        || clause.contains("is a directory")
    {
        Some(Refusal::NotExecutable)
    } else if clause.contains("not found")
        || clause.contains("no such file or directory")
        || clause.contains("No such file")
    {
        Some(Refusal::NotFound)
    } else {
        None
    }
}

/// The part of a message that its wrappers led up to.
fn innermost(message: &str) -> &str {
    ["unable to start container process: ", "OCI runtime create failed: ", "runc create failed: "]
        .iter()
        .find_map(|wrapper| message.rfind(wrapper).map(|at| &message[at + wrapper.len()..]))
        .unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_execve_refused_from_what_failed_on_the_way() {
        for (message, expected) in [
            (r#"exec: "/app/server": stat /app/server: no such file or directory"#, Some(Refusal::NotFound)),
            (r#"exec: "srever": executable file not found in $PATH"#, Some(Refusal::NotFound)),
            (r#"exec: "/bin/noexec": permission denied"#, Some(Refusal::NotExecutable)),
            ("exec /app: exec format error", Some(Refusal::WrongFormat)),
            ("crun: executable file `x` not found in $PATH: No such file or directory", Some(Refusal::NotFound)),
            (r#"error mounting "/a/b" to rootfs at "/proc": no such file or directory"#, None),
            ("error during container init: mkdir /bin/busybox: not a directory", None),
            (r#"error during container init: open /etc/x: permission denied"#, None),
        ] {
            assert_eq!(refusal(message), expected, "{message}");
        }
    }
}
