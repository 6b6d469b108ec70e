//! A certificate of the kubelet has expired: the one that it serves its port with, or the one by which the API server
//! knows it, by the kubelet's own last words or by its file, which also shows that it is about to.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, NodeCase, clock, is_daemon_out};
use crate::{
    aspect::{Aspect, Part},
    messages::node as texts,
    observation::{
        Source,
        kube::Kind,
        node::{CLIENT_CERTIFICATE, Daemon, Validity},
    },
    verdict::Verdict,
};

/// A kubelet renews its certificate at 70 to 90 % of its life; the new one may be taken up just now.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// The node controller notices within this time that a kubelet no longer reports (`--node-monitor-grace-period`, by
/// default 50 s, and its period).
const NOTICED: SignedDuration = SignedDuration::from_secs(90);

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    // A clock that is wrong makes every certificate look expired.
    if clock::offset(case).is_some() {
        return Vec::new();
    }
    let file = case.state.client_certificate.as_ref().map(|known| known.what);
    let expired = || file.and_then(|validity| expired(case, validity));
    let expiring = || file.and_then(|validity| expiring(case, validity));
    client(case).or_else(expired).or_else(|| serving(case)).or_else(expiring).into_iter().collect()
}

fn serving(case: NodeCase<'_>) -> Option<Finding> {
    let known = case.state.certificate.as_ref()?;
    let expired = known.what;
    // Reported in advance, it is examined again when its time has come.
    if expired > case.now {
        return None;
    }
    let verdict = Verdict::new(Cause::CertificateExpired, Confidence::Certain, expired)
        .not_fatal()
        .headed(texts::node_certificate_expired())
        .explained(texts::node_certificate_why(expired))
        .supported_by(Source::NodeChecks, known.at, format!("TLS: notAfter={expired}"));
    Some(Finding { aspect: Aspect::Node(Part::Certificate), verdict, ripe: expired + PATIENCE })
}

/// The kubelet ends when its client certificate has expired and the API server answers, and does not start with it
/// (`cmd/kubelet/app/server.go`, `pkg/kubelet/certificate/transport.go`, `pkg/kubelet/certificate/bootstrap`).
fn client(case: NodeCase<'_>) -> Option<Finding> {
    let file = case.state.daemon(Daemon::Kubelet)?;
    let at = file.ended.as_ref()?.at;
    if file.answered.is_some_and(|answered| answered >= at) {
        return None;
    }
    let line = file.last_lines.iter().rev().find(|line| is_expired(line))?;
    let verdict = Verdict::new(Cause::CertificateExpired, Confidence::Certain, at)
        .not_fatal()
        .headed(texts::node_client_certificate_expired())
        .explained(texts::node_client_certificate_why(line))
        .supported_by(Source::NodeChecks, at, line);
    Some(Finding { aspect: Aspect::Node(Part::Certificate), verdict, ripe: at })
}

/// By its file alone it is not known whether the kubelet uses it: that shows where it has not reported to the API
/// server since, which the node reaches.
fn expired(case: NodeCase<'_>, validity: Validity) -> Option<Finding> {
    let (expired, noticed) = (validity.until, validity.until + NOTICED);
    if case.now < expired || is_daemon_out(case.node, Daemon::Kubelet) {
        return None;
    }
    let reached = case.state.api_server.as_ref().is_none_or(|known| known.what.failed.is_none());
    let ready = case.node.objects.node.as_ref()?.condition("Ready")?;
    let is_unknown = ready.status.is_none() && ready.since.is_some_and(|since| since >= expired);
    // Until then, what was reported before it expired stands.
    if case.now >= noticed && !(is_unknown && reached) {
        return None;
    }
    let status = format!("Ready=Unknown ({}): {}", ready.reason, ready.message);
    let verdict = Verdict::new(Cause::CertificateExpired, Confidence::Likely, expired)
        .not_fatal()
        .headed(texts::node_client_certificate_expired())
        .explained(texts::node_client_certificate_file(CLIENT_CERTIFICATE, expired))
        .supported_by(Source::NodeChecks, expired, format!("{CLIENT_CERTIFICATE}: notAfter={expired}"))
        .supported_by(Source::Api(Kind::Nodes), ready.since.unwrap_or(expired), status);
    Some(Finding { aspect: Aspect::Node(Part::Certificate), verdict, ripe: noticed })
}

fn expiring(case: NodeCase<'_>, validity: Validity) -> Option<Finding> {
    let (overdue, expires) = (validity.overdue(), validity.until);
    if case.now < overdue || case.now >= expires {
        return None;
    }
    let verdict = Verdict::new(Cause::CertificateExpiring, Confidence::Likely, overdue)
        .not_fatal()
        .headed(texts::node_client_certificate_expires())
        .explained(texts::node_client_certificate_expires_why(CLIENT_CERTIFICATE, expires))
        .supported_by(Source::NodeChecks, overdue, format!("{CLIENT_CERTIFICATE}: notAfter={expires}"));
    Some(Finding { aspect: Aspect::Node(Part::Certificate), verdict, ripe: overdue })
}

/// Whether a line of the kubelet's log states it, behind klog's head.
fn is_expired(line: &str) -> bool {
    let message = line.split_once("] ").map_or(line, |(_, message)| message).trim_start_matches('"');
    let of_bootstrap = message
        .strip_prefix("part of the existing bootstrap client certificate in ")
        .or_else(|| message.strip_prefix("Part of the existing bootstrap client certificate in "));
    message.starts_with("The currently active client certificate has expired and the server is responsive, exiting.")
        || of_bootstrap.is_some_and(|rest| rest.contains(" is expired: "))
}

#[cfg(test)]
mod tests {
    use super::is_expired;

    #[test]
    fn the_kubelets_own_words_are_known_at_their_place() {
        for line in [
            r#"F1128 09:12:01.1 4711 transport.go:110] The currently active client certificate has expired and the server is responsive, exiting."#,
            r#"E1128 09:12:01.1 4711 bootstrap.go:265] part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is expired: 2026-11-28 00:00:00 +0000 UTC"#,
            r#"E1128 09:12:01.1 4711 bootstrap.go:241] "Part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is expired: 2026""#,
        ] {
            assert!(is_expired(line), "{line}");
        }
        for line in [
            "",
            r#"I1128 09:12:01.1 4711 kubelet.go:1] "Pod" name="The currently active client certificate has expired""#,
        ] {
            assert!(!is_expired(line), "{line}");
        }
    }
}
