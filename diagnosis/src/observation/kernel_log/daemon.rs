//! What OOM daemons write into the kernel log: Talos' controller
//! (`internal/app/machined/pkg/controllers/runtime/oom.go`), systemd-oomd (`src/oom/oomd-util.c`), earlyoom (`kill.c`).
//!
//! They write with a user's facility, as anyone can who may open /dev/kmsg: such a line alone never makes a verdict
//! certain.

use crate::parse::decimal;

/// The report of an OOM daemon about its kill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonKill {
    /// The name of the daemon, such as `earlyoom`.
    pub daemon: &'static str,
    /// What the daemon kills.
    pub target: Target,
}

/// What a daemon kills: a process or a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All in this cgroup, by its path from the root of the hierarchy.
    Cgroup(String),
    /// A process.
    Process(i32),
}

/// The names of daemons as their programs are called.
pub const DAEMONS: [&str; 4] = ["systemd-oomd", "earlyoom", "nohang", "oomd"];

impl DaemonKill {
    /// What a record of another facility than the kernel's reports, if it is a daemon's report of a kill.
    pub fn parse(text: &str) -> Option<Self> {
        talos(text).or_else(|| oomd(text)).or_else(|| earlyoom(text))
    }
}

/// `[talos] Sending SIGKILL to cgroup {…, "cgroup": "/sys/fs/cgroup/kubepods/…"}`
fn talos(text: &str) -> Option<DaemonKill> {
    let fields = text.strip_prefix("[talos] Sending SIGKILL to cgroup ")?;
    let fields: serde_json::Value = serde_json::from_str(fields).ok()?;
    let path = fields.get("cgroup")?.as_str()?;
    let path = path.strip_prefix("/sys/fs/cgroup").unwrap_or(path);
    let target = Target::Cgroup(path.to_owned());
    path.starts_with('/').then_some(DaemonKill { daemon: "Talos", target })
}

/// `systemd-oomd[<pid>]: Killed <cgroup> due to <reason>`
fn oomd(text: &str) -> Option<DaemonKill> {
    let text_of = by(text, "systemd-oomd")?;
    let (path, _) = text_of.strip_prefix("Killed ")?.split_once(" due to ")?;
    let target = Target::Cgroup(path.to_owned());
    path.starts_with('/').then_some(DaemonKill { daemon: "systemd-oomd", target })
}

/// `earlyoom[<pid>]: sending SIGKILL to process <pid> uid <uid> "<name>": …`
fn earlyoom(text: &str) -> Option<DaemonKill> {
    let text_of = by(text, "earlyoom")?;
    let text_of =
        ["sending SIGKILL to process ", "sending SIGTERM to process "].iter().find_map(|s| text_of.strip_prefix(s))?;
    let (pid, _) = text_of.split_once(' ')?;
    Some(DaemonKill { daemon: "earlyoom", target: Target::Process(decimal(pid)?) })
}

/// The message of a program, behind its syslog tag.
fn by<'t>(text: &'t str, program: &str) -> Option<&'t str> {
    let (pid, text_of) = text.strip_prefix(program)?.strip_prefix('[')?.split_once("]: ")?;
    decimal::<i32>(pid).map(|_| text_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_daemon_names_its_target() {
        let pod = "/kubepods/burstable/pod5dd8aa25-f7a5-416d-b8f4-5e1f709c1da9";
        for (text, daemon, target) in [
            (
                format!(
                    "[talos] Sending SIGKILL to cgroup {{\"component\": \"x\", \"cgroup\": \"/sys/fs/cgroup{pod}\"}}"
                ),
                "Talos",
                Target::Cgroup(pod.to_owned()),
            ),
            (
                format!(
                    "systemd-oomd[455]: Killed {pod} due to memory pressure for /kubepods being 61.22% > 50.00% for > 20s"
                ),
                "systemd-oomd",
                Target::Cgroup(pod.to_owned()),
            ),
            (
                "earlyoom[9]: sending SIGKILL to process 77 uid 0 \"java\": badness 900, VmRSS 1 MiB".to_owned(),
                "earlyoom",
                Target::Process(77),
            ),
        ] {
            assert_eq!(DaemonKill::parse(&text), Some(DaemonKill { daemon, target }), "{text}");
        }
        for other in [
            "[talos] Sending SIGKILL to cgroup x",
            "systemd-oomd[455]: Swap is full",
            "earlyoom: sending SIGKILL to process 7 u",
        ] {
            assert_eq!(DaemonKill::parse(other), None, "{other}");
        }
    }
}
