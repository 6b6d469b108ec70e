//! What programs that start another one write when they cannot: init programs of containers (tini, dumb-init,
//! catatonit), programs that change the user (su-exec, gosu, setpriv), `env` and what else of coreutils and busybox
//! runs a command.

use crate::observation::kube::message::start::Refusal;

/// Why the command was not started. `None` if the line is of no such program.
pub fn not_launched(line: &str) -> Option<Refusal> {
    let line = line.trim_end();
    let (program, rest) = line.split_once(if line.starts_with('[') { "] " } else { ": " })?;
    let error = rest.rsplit_once(": ").map_or(rest, |(_, error)| error);
    let is_launcher = match program.rsplit('/').next()? {
        "env" | "su-exec" => true,
        "setpriv" => rest.starts_with("failed to execute "),
        "timeout" | "nohup" | "nice" | "chroot" | "stdbuf" | "setsid" => rest.starts_with("failed to run command "),
        "error" => rest.starts_with("exec: \""),
        "[dumb-init" => true,
        name if name.starts_with("[FATAL tini (") => rest.starts_with("exec ") && rest.contains(" failed: "),
        name if name.starts_with("ERROR (catatonit") => rest.starts_with("failed to exec pid1: "),
        _ => false,
    };
    if !is_launcher {
        return None;
    }
    Some(match error {
        "No such file or directory" | "no such file or directory" | "executable file not found in $PATH" => {
            Refusal::NotFound
        }
        "Permission denied" | "permission denied" | "Is a directory" => Refusal::NotExecutable,
        "Exec format error" | "exec format error" => Refusal::WrongFormat,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_launcher_could_not_start_is_recognised() {
        for (line, expected) in [
            ("[FATAL tini (7)] exec /usr/local/bin/serve failed: No such file or directory", Refusal::NotFound),
            ("[FATAL tini (7)] exec /srv/app failed: Permission denied", Refusal::NotExecutable),
            ("[dumb-init] /srv/app: No such file or directory", Refusal::NotFound),
            ("[dumb-init] /srv/app: Exec format error", Refusal::WrongFormat),
            ("ERROR (catatonit:2): failed to exec pid1: No such file or directory", Refusal::NotFound),
            ("env: ‘python’: No such file or directory", Refusal::NotFound),
            ("/usr/bin/env: 'bash\\r': No such file or directory", Refusal::NotFound),
            ("env: can't execute 'python3': No such file or directory", Refusal::NotFound),
            ("su-exec: /srv/app: Permission denied", Refusal::NotExecutable),
            ("error: exec: \"serve\": executable file not found in $PATH", Refusal::NotFound),
            ("timeout: failed to run command ‘serve’: No such file or directory", Refusal::NotFound),
            ("setpriv: failed to execute serve: No such file or directory", Refusal::NotFound),
        ] {
            assert_eq!(not_launched(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn the_errors_of_other_programs_are_none() {
        for line in [
            "",
            "cat: /etc/app.conf: No such file or directory",
            "timeout: sending signal TERM to command ‘serve’",
            "error: open /etc/x: no such file or directory",
            "[info] env: No such file or directory",
            "env: No such thing",
        ] {
            assert_eq!(not_launched(line), None, "{line}");
        }
    }
}
