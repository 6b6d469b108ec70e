//! The kubelet's words on probes: events `Unhealthy` and `Killing`.
//!
//! `pkg/kubelet/prober/prober.go`, `pkg/kubelet/kuberuntime/kuberuntime_manager.go`; what a probe got comes from Go's
//! net and net/http, `pkg/probe/grpc`, or the runtime's ExecSync.

use super::phrase::{bare_message, chain, is_any, names, without_rpc};

/// The kinds of probes of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Restarts the container when it fails.
    Liveness,
    /// Restarts the container when it never succeeds.
    Startup,
    /// Takes the container out of Services while it fails.
    Readiness,
}

impl Which {
    /// The kind, as Kubernetes' messages name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Startup => "startup",
            Self::Readiness => "readiness",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Liveness, Self::Startup, Self::Readiness]
            .into_iter()
            .find(|which| which.name().eq_ignore_ascii_case(name))
    }
}

/// What a probe got: `Liveness probe failed: …`, or `… errored and resulted in unknown state: …` where it could not
/// run.
pub fn result(message: &str) -> Option<(Which, &str)> {
    let phrases = [
        "{} probe failed: {*}",
        "{} probe errored and resulted in {} state: {*}",
        "{} probe errored: {*}",
        "{} probe failed:{*}",
    ];
    let found = phrases.iter().find_map(|phrase| names(bare_message(message), phrase))?;
    Some((Which::of(found.first()?)?, found.last()?.trim()))
}

/// The probe for which the kubelet decided to kill a container: `Container web failed liveness probe, will be
/// restarted`.
pub fn kill(message: &str) -> Option<Which> {
    let phrases = [
        "Container {} failed {} probe, will be restarted",
        "Container {} failed {} probe",
        "Init container {} failed {} probe, will be restarted",
        "Init container {} failed {} probe",
        // Before 1.14.
        "Killing container with id {}Container failed {} probe.. Container will be killed and recreated.",
    ];
    let found = phrases.iter().find_map(|phrase| names(bare_message(message), phrase))?;
    Which::of(found.last()?)
}

/// What a probe got without the command that it ran, which its definition shows: `timed out after 1s` of `command timed
/// out: "cat /tmp/ok" timed out after 1s`.
pub fn brief(answer: &str) -> &str {
    let repeated = answer.strip_prefix("command timed out: \"").and_then(|rest| rest.rsplit_once("\" "));
    repeated.map(|(_, rest)| rest).filter(|rest| rest.starts_with("timed out")).unwrap_or(answer)
}

/// Whether what a probe got is that no answer came in time.
pub fn timed_out(answer: &str) -> bool {
    let links = without_rpc(chain(answer));
    let late = [
        "context deadline exceeded",
        "context deadline exceeded (Client.Timeout {*}",
        "request canceled (Client.Timeout {*}",
        "request canceled while waiting for connection (Client.Timeout {*}",
        "i/o timeout",
        "health rpc did not complete within {}",
        "command {} timed out",
        "command timed out",
        "timeout {} exceeded",
    ];
    links.iter().any(|link| is_any(link, &late))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_which_probe_got_what() {
        for (message, expected) in [
            (
                "Liveness probe failed: HTTP probe failed with statuscode: 500",
                Some((Which::Liveness, "HTTP probe failed with statuscode: 500")),
            ),
            ("(combined from similar events): Readiness probe failed: no", Some((Which::Readiness, "no"))),
            ("Startup probe errored and resulted in unknown state: rpc error", Some((Which::Startup, "rpc error"))),
            ("Readiness probe errored: rpc error", Some((Which::Readiness, "rpc error"))),
            ("Liveness probe failed: ", Some((Which::Liveness, ""))),
            ("Space probe failed: no", None),
        ] {
            assert_eq!(result(message), expected, "{message}");
        }
    }

    #[test]
    fn knows_for_which_probe_a_container_is_killed() {
        assert_eq!(
            kill("Container failed-startup-probe failed liveness probe, will be restarted"),
            Some(Which::Liveness)
        );
        assert_eq!(kill("Init container mesh failed startup probe"), Some(Which::Startup));
        let before_1_14 = "Killing container with id docker://app:Container failed liveness probe.. Container will be killed and recreated.";
        assert_eq!(kill(before_1_14), Some(Which::Liveness));
        assert_eq!(kill("Stopping container app"), None);
    }

    #[test]
    fn the_command_is_not_repeated() {
        assert_eq!(brief("command timed out: \"sh -c \"x\" y\" timed out after 1s"), "timed out after 1s");
        for whole in ["command timed out: \"x\"", "command timed out: \"x\" failed", "connection refused", ""] {
            assert_eq!(brief(whole), whole);
        }
    }

    #[test]
    fn a_late_answer_is_distinguished_from_a_refusal() {
        for answer in [
            "Get \"http://10.0.0.1:80/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
            "Get http://10.0.0.1:80/: net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
            "dial tcp 10.0.0.1:80: i/o timeout",
            "timeout: failed to connect service \"10.0.0.1:80\" within 1s: context deadline exceeded",
            "timeout: health rpc did not complete within 1s",
            "command \"sh -c x\" timed out",
            "rpc error: code = DeadlineExceeded desc = failed to exec in container: timeout 1s exceeded: context deadline \
             exceeded",
        ] {
            assert!(timed_out(answer), "{answer}");
        }
        for answer in
            ["HTTP probe failed with statuscode: 504", "dial tcp 10.0.0.1:80: connect: connection refused", ""]
        {
            assert!(!timed_out(answer), "{answer}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_panic(message in r#"(Liveness |probe failed: |"|: |[ -~é])*"#) {
            result(&message);
            kill(&message);
            timed_out(&message);
            brief(&message);
        }
    }
}
