//! The kubelet ends at its start because its configuration is not accepted, by its own last words.
//!
//! `cmd/kubelet/app/server.go` and `pkg/kubelet/cm/container_manager_linux.go`: what ends the process is logged as the
//! error of `command failed` (`k8s.io/component-base/cli`), before 1.24 as `Failed to run kubelet` or `failed to load
//! Kubelet config file`; `pkg/kubelet/kubelet.go` ends behind `Failed to start ContainerManager`. In k3s, of which the
//! kubelet is a part, `pkg/executor/embed` and `pkg/signals` log the error, by logrus.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, NodeCase};
use crate::{
    aspect::{Aspect, Part},
    messages::node as texts,
    observation::{Source, node::Daemon},
    parse::occurrences,
    verdict::Verdict,
};

/// What the kubelet reports of a configuration that it does not accept, as the beginning of an error or of a cause in
/// it.
const REFUSALS: [&str; 16] = [
    "kubelet is configured to not run on a host using cgroup v1",
    "running with swap on is not supported",
    "running with swap on, please disable swap",
    "invalid configuration: ",
    "invalid kubelet configuration",
    "invalid Node Allocatable configuration. ",
    "system validation failed - Following Cgroup subsystem not mounted: ",
    "failed to load kubelet config file",
    "failed to load Kubelet config file",
    "failed to validate kubelet configuration",
    "failed to validate kubelet flags: ",
    "failed to parse kubelet flag: ",
    "unknown flag: --",
    "misconfiguration: kubelet cgroup driver: ",
    "unrecognized feature gate: ",
    "failed to set feature gates from initial flags-based config: ",
];

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    finding(case).into_iter().collect()
}

fn finding(case: NodeCase<'_>) -> Option<Finding> {
    let file = case.state.daemon(Daemon::Kubelet)?;
    let at = file.ended.as_ref()?.at;
    if file.answered.is_some_and(|answered| answered >= at) {
        return None;
    }
    let line = file.last_lines.iter().rev().find(|line| refuses(line))?;
    let verdict = Verdict::new(Cause::KubeletMisconfigured, Confidence::Certain, at)
        .not_fatal()
        .headed(texts::node_kubelet_misconfigured())
        .explained(texts::node_kubelet_misconfigured_why(line))
        .explained(texts::node_daemon_effect(Daemon::Kubelet.keyword()))
        .supported_by(Source::NodeChecks, at, line);
    Some(Finding { aspect: Aspect::Node(Part::Kubelet), verdict, ripe: at })
}

/// Messages of klog behind which is the error that ends the kubelet, up to that error.
const ENDS: [&str; 5] = [
    "\"command failed\" err=\"",
    "\"Failed to start ContainerManager\" err=\"",
    "\"Failed to run kubelet\" err=\"",
    "failed to run Kubelet: ",
    "Failed to run kubelet: ",
];

/// What k3s puts before that error, behind the time; up to 1.34, and since.
const ENDS_OF_K3S: [&str; 2] =
    ["level=fatal msg=\"kubelet exited: ", "level=error msg=\"Shutdown request received: \\\"kubelet exited: "];

/// Whether a line is the error that ended the kubelet, and names a configuration which is refused: at the beginning of
/// that error, or behind another that wraps it.
fn refuses(line: &str) -> bool {
    let Some(error) = ending(line) else { return false };
    let wrapped =
        [": ", ", "].iter().flat_map(|between| occurrences(error, between).map(|at| &error[at + between.len()..]));
    let mut errors = std::iter::once(error).chain(wrapped);
    errors.any(|error| REFUSALS.iter().any(|refusal| error.starts_with(refusal)))
}

/// The error that ended the kubelet, if the line states it. Lines of other messages quote what pods print; those of
/// a message over several lines are indented.
fn ending(line: &str) -> Option<&str> {
    // What the flag parser prints, before there is a log.
    if let Some(error) = line.strip_prefix("Error: ") {
        return Some(error);
    }
    if let Some(logged) = line.strip_prefix("time=\"") {
        let (_, logged) = logged.split_once("\" ")?;
        return ENDS_OF_K3S.iter().find_map(|end| logged.strip_prefix(end));
    }
    let (head, message) = line.split_once("] ")?;
    let error = ENDS.iter().find_map(|end| message.strip_prefix(end));
    match head.as_bytes() {
        // Whatever is fatal ends the process.
        [b'F', b'0'..=b'9', ..] => error.or(Some(message)),
        [b'E', b'0'..=b'9', ..] => error
            .or_else(|| Some(message).filter(|message| REFUSALS.iter().any(|refusal| message.starts_with(refusal)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::refuses;

    #[test]
    fn refusals_are_known_at_their_place() {
        for line in [
            r#"E1128 09:12:01.1 4711 run.go:72] "command failed" err="failed to run Kubelet: running with swap on is not supported, please disable swap or set --fail-swap-on flag to false""#,
            r#"E1128 09:12:01.1 4711 run.go:74] "command failed" err="failed to validate kubelet configuration, error: kubelet is configured to not run on a host using cgroup v1. cgroup v1 support is unsupported and will be removed""#,
            r#"E1128 09:12:01.1 4711 run.go:72] "command failed" err="failed to parse kubelet flag: unknown flag: --network-plugin""#,
            r#"E1128 09:12:01.1 4711 server.go:292] "Failed to run kubelet" err="failed to run Kubelet: misconfiguration: kubelet cgroup driver: \"systemd\" is different from docker cgroup driver: \"cgroupfs\"""#,
            r#"E1128 09:12:01.1 4711 kubelet.go:1466] "Failed to start ContainerManager" err="invalid Node Allocatable configuration. Resource \"memory\" has a reservation of {{9 0} {<nil>} 9 DecimalSI} but capacity of {{1 0} {<nil>} 1 DecimalSI}. Expected capacity >= reservation""#,
            r#"E1128 09:12:01.1 4711 kubelet.go:1380] "Failed to start ContainerManager" err="system validation failed - Following Cgroup subsystem not mounted: [memory]""#,
            "Error: unknown flag: --cni-bin-dir",
            r#"time="2026-11-28T09:12:01Z" level=fatal msg="kubelet exited: failed to parse kubelet flag: unknown flag: --network-plugin""#,
            r#"time="2026-11-28T09:12:01Z" level=error msg="Shutdown request received: \"kubelet exited: failed to validate kubelet configuration, error: invalid configuration: ...\"""#,
            "F1128 09:12:01.1 4711 server.go:273] failed to run Kubelet: running with swap on is not supported, please disable swap!",
        ] {
            assert!(refuses(line), "{line}");
        }
        for line in [
            r#"E1128 09:12:01.1 4711 run.go:72] "command failed" err="failed to run Kubelet: unable to load bootstrap kubeconfig: stat /etc/kubernetes/bootstrap-kubelet.conf: no such file or directory""#,
            r#"E1128 09:12:01.1 4711 kubelet.go:1] "Pod web reported unknown flag"#,
            r#"E1128 09:12:01.1 4711 kubelet.go:1466] "Failed to start ContainerManager" err="failed to initialize top level QOS containers: root container [kubepods] doesn't exist""#,
            // What programs of pods print.
            r#"I1128 09:12:01.1 4711 prober.go:107] "Probe failed" pod="shop/web" output="Error: unknown flag: --ready""#,
            r#"E1128 09:12:01.1 4711 prober.go:104] "Probe errored" err="rpc error: code = Unknown desc = exec: unknown flag: --ready""#,
            "\tError: unknown flag: --ready",
            r#"time="2026-11-28T09:12:01Z" level=info msg="pod logged: level=fatal msg=\"kubelet exited: unknown flag: --x\"""#,
            r#"time="2026-11-28T09:12:01Z" level=fatal msg="apiserver exited: unknown flag: --x""#,
            r#"I1128 09:12:01.1 4711 run.go:72] "command failed" err="running with swap on is not supported""#,
            "",
        ] {
            assert!(!refuses(line), "{line}");
        }
    }
}
