//! The words of OCI runtimes that could not make or start a container, as containerd, CRI-O, dockerd and the kubelet
//! pass them on.
//!
//! What counts is what stands first behind the wrappers: `exec: "x": not found` there is the container's command,
//! behind `running hook` or `get apparmor_parser version` it is a program of the node. Phrases: runc
//! `libcontainer/{init,process, standard_init}_linux.go` (before 1.0 quoted into each other), crun
//! `src/libcrun/{utils,linux,container}.c`, youki `crates/libcontainer/src/workload/default.rs`, gVisor
//! `runsc/boot/loader.go`, containerd `pkg/oci/spec_opts.go`.

use super::phrase::{bare_message, chain, is, is_any, names, unquoted, without_rpc};

/// Why a runtime could not start a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The command does not exist.
    NotFound,
    /// It exists and may not be executed.
    NotExecutable,
    /// It is not made for this machine.
    WrongFormat,
    /// None is named.
    NoCommand,
    /// The runtime's first process was killed for memory.
    OutOfMemory,
    /// A device could not be put into the container.
    Device,
    /// A volume of the pod does not answer, or is not there.
    Volume,
    /// An image that the pod uses as a volume could not be mounted.
    ImageVolume,
}

/// Longest depth of messages quoted into each other.
const DEPTH: usize = 6;

/// What was refused. `None` if the message is about something else, or not known.
pub fn refusal(message: &str) -> Option<Refusal> {
    read(bare_message(message), DEPTH)
}

/// The same of a line that a runtime's first process wrote into the container's log, when it had become the container
/// and execve(2) failed. A program's own words about another program are not that.
pub fn refused_exec(line: &str) -> Option<Refusal> {
    let json = quoted(line.trim()).unwrap_or_else(|| line.trim().to_owned());
    let links = chain(&json);
    let first = match links.first()? {
        wrapper if is(wrapper, "standard_init_linux.go:{}") => links.get(1)?,
        first => first,
    };
    let of_stub = [
        "exec user process caused",
        "exec user process caused {}",
        "exec container process {}",
        "exec container process (missing dynamic library?) {}",
    ];
    (is_exec_of_path(first) || is_any(first, &of_stub)).then(|| refusal(line)).flatten()
}

/// runc: what execve(2) was given, by its path; `exec fifo` is a file of its own.
fn is_exec_of_path(link: &str) -> bool {
    names(link, "exec {}").is_some_and(|found| found.iter().any(|path| path.contains('/')))
}

/// The part of a message that its wrappers led up to.
pub fn innermost(message: &str) -> &str {
    let links = core(bare_message(message));
    links.first().map_or(message, |first| &message[first.as_ptr() as usize - message.as_ptr() as usize..])
}

fn read(message: &str, depth: usize) -> Option<Refusal> {
    let links = core(message);
    let (first, rest) = links.split_first()?;
    // Before 1.0, runc quoted the cause: `starting container process caused "exec: \"sh\": …"`. CRI-O passes on the
    // line that runc logged: `time="…" level=error msg="…"`; with `--log-format json`, `{"msg":"…"}`.
    if depth > 0
        && let Some(inner) = quoted(first)
    {
        return read(&inner, depth - 1);
    }
    let error = rest.last().copied().unwrap_or_default();
    let by_error = |error: &str| match error {
        "no such file or directory"
        | "No such file or directory"
        | "executable file not found in $PATH"
        | "not a directory"
        | "Not a directory"
        | "too many levels of symbolic links"
        | "Too many levels of symbolic links"
        | "file name too long"
        | "File name too long" => Some(Refusal::NotFound),
        "permission denied"
        | "Permission denied"
        | "is a directory"
        | "Is a directory"
        | "operation not permitted"
        | "Operation not permitted" => Some(Refusal::NotExecutable),
        "exec format error" | "Exec format error" => Some(Refusal::WrongFormat),
        _ => None,
    };
    // containerd appends the kind of the error: `: unknown`.
    let error = match rest {
        [.., before, "unknown" | "not found" | "permission denied"] if by_error(before).is_some() => before,
        [.., before, "unknown"] => before,
        _ => error,
    };
    match *first {
        // runc: LookPath and execve(2): `exec: "sh": executable file not found in $PATH`, `exec /sh: exec format
        // error`.
        "exec" if rest.first().is_some_and(|program| program.starts_with('"')) => by_error(error),
        "exec user process caused" => by_error(error),
        // crun: find_executable, and its stub for an old one.
        "open executable" => by_error(error),
        _ if is_exec_of_path(first) => by_error(error),
        _ if is_any(first, &["exec container process {}", "exec container process (missing dynamic library?) {}"]) => {
            by_error(error)
        }
        _ if is_any(first, &["executable file {} not found in $PATH", "executable file {} not found"]) => {
            by_error(error).or(Some(Refusal::NotFound))
        }
        _ if is_any(first, &["cannot find {} in $PATH", "executable {} for container process not found in PATH"]) => {
            Some(Refusal::NotFound)
        }
        _ if is(first, "the path {} exists but it is not executable") => Some(Refusal::NotExecutable),
        // Kata's agent.
        _ if is(first, "the file {} was not found") => Some(Refusal::NotFound),
        // Windows.
        _ if is_any(first, CREATE_PROCESS) => rest.iter().find_map(|link| by_windows(link)),
        // gVisor.
        _ if is(first, "error finding executable {} in PATH {*}") => Some(Refusal::NotFound),
        _ if names(first, "failed to load {}").is_some_and(|found| found.iter().any(|path| path.starts_with('/'))) => {
            by_error(error)
        }
        "container init was OOM-killed (memory limit too low?)" | "OOM" => Some(Refusal::OutOfMemory),
        "no command specified" | "No command specified" | "executable path not specified" => Some(Refusal::NoCommand),
        "args must not be empty" | "process args must not be empty" => Some(Refusal::NoCommand),
        // `cri-api/pkg/errors`.
        "ImageVolumeMountFailed" => Some(Refusal::ImageVolume),
        _ if is_any(first, DEVICES) => Some(Refusal::Device),
        _ if is_of_volume(first, error) => Some(Refusal::Volume),
        _ => None,
    }
}

/// Whether a path of a volume of the pod, below the kubelet's directory, cannot be looked at (containerd
/// `internal/cri/server/container_create.go`, CRI-O `server/container_create_linux.go`), or not be mounted for an error
/// of its file system.
fn is_of_volume(link: &str, error: &str) -> bool {
    let looked_at = || names(link, "failed to stat {}");
    let of_storage = STORAGE.contains(&error);
    let mounted = || names(link, "error mounting {} to rootfs at {}").filter(|_| of_storage);
    let path = looked_at().or_else(mounted).and_then(|found| found.first().copied());
    path.is_some_and(|path| path.contains("/volumes/kubernetes.io~") || path.contains("/volume-subpaths/"))
}

/// What file systems answer that are away or broken.
const STORAGE: &[&str] = &[
    "transport endpoint is not connected",
    "stale NFS file handle",
    "stale file handle",
    "input/output error",
    "host is down",
    "no such device",
    "structure needs cleaning",
];

/// hcsshim's, as containerd and dockerd pass it on.
const CREATE_PROCESS: &[&str] = &[
    "hcs::System::CreateProcess {}",
    "container {} encountered an error during hcs::System::CreateProcess",
    "container {} encountered an error during hcsshim::System::CreateProcess",
];

/// `FormatMessage` of the errors of CreateProcessW; hcsshim may add the number, and details on lines of their own.
fn by_windows(error: &str) -> Option<Refusal> {
    let error = error.lines().next().unwrap_or_default();
    match error.rsplit_once(" (0x").map_or(error, |(text, _)| text) {
        "The system cannot find the file specified." | "The system cannot find the path specified." => {
            Some(Refusal::NotFound)
        }
        "Access is denied." => Some(Refusal::NotExecutable),
        "%1 is not a valid Win32 application." => Some(Refusal::WrongFormat),
        _ => None,
    }
}

/// Devices of CDI (`containerd/internal/cri/opts`, CRI-O `server/container_create.go`), and of the kubelet's plugins.
const DEVICES: &[&str] = &[
    "failed to inject CDI devices",
    "CDI device injection failed",
    "unresolvable CDI devices {*}",
    "device plugin PreStartContainer rpc failed with err",
    "unable to get claim info for ResourceClaim {}",
    "failed to get claim info for ResourceClaim {}",
    "nvidia-container-cli",
    "could not select device driver {*}",
];

/// The links that are left of a chain when its wrappers are taken off its front.
fn core(message: &str) -> Vec<&str> {
    let mut links = chain(message);
    loop {
        links = without_rpc(links);
        let Some(first) = links.first() else { return links };
        // `runc did not terminate successfully: exit status 1: …`
        if !is_any(first, WRAPPERS) || links.len() == 1 {
            return links;
        }
        links.remove(0);
    }
}

/// Who passes it on.
const WRAPPERS: &[&str] = &[
    "Error response from daemon",
    "failed to start container {}",
    "failed to create container {}",
    "failed to create containerd container",
    "failed to create containerd task",
    "failed to create container",
    "failed to create shim task",
    "failed to create shim",
    "failed to create task for container",
    "failed to start containerd task {}",
    "failed to start task for container",
    "failed to generate container {} spec",
    "failed to generate spec",
    "failed to mount image volume",
    "failed to apply OCI options",
    "internal error",
    "could not apply required modification to OCI specification",
    "error modifying OCI spec",
    "exec process failed with error {*}",
    "container create failed",
    "container create failed: time={} level=error msg={}",
    "CreateContainer failed",
    "OCI runtime create failed",
    "OCI runtime start failed",
    "OCI runtime exec failed",
    "OCI runtime error",
    "oci runtime error",
    "runc create failed",
    "runc run failed",
    "runc did not terminate successfully",
    "runc did not terminate sucessfully",
    "exit status {}",
    "crun",
    "unable to start container process",
    "error during container init",
    "error setting up exec command",
    "exec failed",
    "starting container process caused",
    "container init caused",
    "container_linux.go:{}",
    "process_linux.go:{}",
    "standard_init_linux.go:{}",
    "rootfs_linux.go:{}",
    "starting container",
    "starting root container",
    "starting sub-container {}",
    "starting sandbox",
    "urpc method {} failed",
    "creating container",
    "creating process",
    "failed to create process",
];

/// A message quoted into another one.
fn quoted(link: &str) -> Option<String> {
    let phrases = ["starting container process caused {}", "container init caused {}", "exec user process caused {}"];
    if let Some([inner]) = phrases.iter().find_map(|phrase| names(link, phrase)).as_deref() {
        let inner = unquoted(inner)?;
        // The last of them quotes an errno only.
        return Some(if is(link, phrases[2]) { format!("exec user process caused: {inner}") } else { inner });
    }
    if let Some([_, _, inner]) = names(link, "time={} level={} msg={}").as_deref() {
        return unquoted(inner);
    }
    let json = serde_json::from_str::<serde_json::Value>(link).ok()?;
    json.get("msg")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CREATE: &str = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc \
                          create failed: unable to start container process: ";

    #[test]
    fn what_execve_refused_is_not_what_failed_on_the_way() {
        use Refusal::*;
        for (message, expected) in [
            (r#"exec: "/app/server": stat /app/server: no such file or directory: unknown"#, Some(NotFound)),
            (r#"exec: "srever": executable file not found in $PATH: unknown"#, Some(NotFound)),
            (r#"error during container init: exec: "/bin/noexec": permission denied"#, Some(NotExecutable)),
            ("exec /app: exec format error", Some(WrongFormat)),
            ("container init was OOM-killed (memory limit too low?): unknown", Some(OutOfMemory)),
            (r#"error mounting "/a/b" to rootfs at "/proc": no such file or directory"#, None),
            ("error during container init: mkdir /bin/busybox: not a directory", None),
            ("error during container init: open /etc/x: permission denied", None),
            (
                "error during container init: error running hook #0: fork/exec /opt/nerdctl: no such file or \
                 directory: unknown",
                None,
            ),
            ("error closing exec fds: open /proc/self/fd: no such file or directory: unknown", None),
            ("error during container init: exec fifo: no such file or directory: unknown", None),
        ] {
            assert_eq!(refusal(&format!("{CREATE}{message}")), expected, "{message}");
        }
    }

    #[test]
    fn reads_what_older_runtimes_and_cri_o_quote() {
        use Refusal::*;
        for (message, expected) in [
            (
                r#"OCI runtime create failed: container_linux.go:345: starting container process caused "exec: \"sh\": executable file not found in $PATH": unknown"#,
                Some(NotFound),
            ),
            (
                r#"failed to start container "9f": Error response from daemon: OCI runtime create failed: container_linux.go:349: starting container process caused "exec: \"/e.sh\": permission denied": unknown"#,
                Some(NotExecutable),
            ),
            (
                r#"OCI runtime create failed: container_linux.go:348: starting container process caused "process_linux.go:402: container init caused \"process_linux.go:385: running prestart hook 0 caused \\\"fork/exec /usr/bin/x (deleted): no such file or directory\\\"\"": unknown"#,
                None,
            ),
            (
                r#"container create failed: time="2025-04-16T12:10:28Z" level=error msg="runc create failed: unable to start container process: error during container init: exec: \"./agent\": stat ./agent: no such file or directory""#,
                Some(NotFound),
            ),
            (r#"standard_init_linux.go:211: exec user process caused "exec format error""#, Some(WrongFormat)),
            ("standard_init_linux.go:219: exec user process caused: no such file or directory", Some(NotFound)),
        ] {
            assert_eq!(refusal(message), expected, "{message}");
        }
    }

    #[test]
    fn knows_crun_and_others() {
        use Refusal::*;
        for (message, expected) in [
            (
                r#"oci runtime error: container_linux.go:247: starting container process caused "exec: \"foo\": executable file not found in $PATH""#,
                NotFound,
            ),
            ("crun: cannot find `` in $PATH: No such file or directory", NotFound),
            ("failed to create shim task: the file sh was not found: unknown", NotFound),
            (
                "container create failed: executable file `serve` not found in $PATH: No such file or directory",
                NotFound,
            ),
            ("crun: executable file `x` not found: No such file or directory: OCI runtime error", NotFound),
            ("container create failed: open executable: Permission denied", NotExecutable),
            ("exec container process `/usr/bin/app`: Exec format error", WrongFormat),
            (
                "OCI runtime create failed: OOM: the memory limit could be too low: read from the init process",
                OutOfMemory,
            ),
            ("failed to generate container \"a\" spec: failed to generate spec: no command specified", NoCommand),
            (r#"{"msg":"exec container process `/usr/bin/app`: Exec format error","level":"error"}"#, WrongFormat),
            (
                "failed to generate container \"a\" spec: failed to inject CDI devices: unresolvable CDI devices x",
                Device,
            ),
        ] {
            assert_eq!(refusal(message), Some(expected), "{message}");
        }
        for (message, expected) in [
            ("hcs::System::CreateProcess 9f2c: The system cannot find the file specified.: unknown", Some(NotFound)),
            (
                "Error response from daemon: container 9f2c encountered an error during hcs::System::CreateProcess: \
                 bash: failure in a Windows system call: The system cannot find the file specified. (0x2)",
                Some(NotFound),
            ),
            ("hcs::System::CreateProcess 9f2c: This program is blocked by group policy.: unknown", None),
        ] {
            assert_eq!(refusal(message), expected, "{message}");
        }
        let apparmor = "failed to create containerd container: get apparmor_parser version: exec: \"apparmor_parser\": \
                        executable file not found in $PATH";
        assert_eq!(refusal(apparmor), None);
    }

    #[test]
    fn a_programs_own_text_is_not_the_runtimes() {
        use Refusal::*;
        for (line, expected) in [
            ("exec /node-problem-detector: exec format error", Some(WrongFormat)),
            ("exec ./server: exec format error", Some(WrongFormat)),
            ("exec ./run.sh: permission denied", Some(NotExecutable)),
            ("exec bin/run: no such file or directory", Some(NotFound)),
            ("exec command: no such file or directory", None),
            ("standard_init_linux.go:219: exec user process caused: exec format error", Some(WrongFormat)),
            (r#"standard_init_linux.go:211: exec user process caused "no such file or directory""#, Some(NotFound)),
            (
                r#"{"msg":"exec container process `/usr/bin/app`: Exec format error","level":"error"}"#,
                Some(WrongFormat),
            ),
            ("exec container process `/app`: Permission denied", Some(NotExecutable)),
            (r#"exec: "git": executable file not found in $PATH"#, None),
            ("could not exec /app: exec format error", None),
            ("exec", None),
        ] {
            assert_eq!(refused_exec(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_panic(message in r#"(exec: |"|\\|caused |: |msg=|[ -~é])*"#) {
            refusal(&message);
            innermost(&message);
        }

        #[test]
        fn a_name_decides_nothing(
            name in "(exec: |not found|no command specified|OOM-killed|exec format error|permission denied|[a-z/ ]){1,5}"
        ) {
            let quoted = name.replace('"', "");
            let message = format!("{CREATE}error mounting \"{quoted}\" to rootfs at \"/{quoted}\": no space left on device");
            prop_assert_eq!(refusal(&message), None);
            let message = format!("{CREATE}exec: \"{quoted}\": permission denied: unknown");
            prop_assert_eq!(refusal(&message), Some(Refusal::NotExecutable));
        }
    }
}
