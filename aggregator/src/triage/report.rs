//! A report of a node, within the bounds that its messages state: it comes from any client with an agent's token.

use coroner_diagnosis::text;
use coroner_proto::v1::{ApiServerAccess, Daemon, Message, NodeReport, UnobservedCheck};

use crate::intake::is_sound;

/// Most items of each list.
const ITEMS: usize = 16;
/// Most lines of a daemon.
const LINES: usize = 5;
/// Bytes of a line.
const LINE: usize = 256;
/// Bytes of a message beside an error.
const MESSAGE: usize = 512;
/// Bytes of a name.
const NAME: usize = 64;
/// Checks that there are.
const CHECKS: usize = 9;

/// The same report with texts escaped and cut, and lists cut: at most 16 KiB.
pub(super) fn bounded(mut report: NodeReport) -> NodeReport {
    clean(&mut report.boot_id, NAME);
    clean(&mut report.health_address, LINE);
    clean(&mut report.agent_version, NAME);
    for Daemon { error, error_message, last_lines, .. } in report.kubelet.iter_mut().chain(&mut report.runtime) {
        clean(error, LINE);
        keep_sound(error_message, MESSAGE);
        last_lines.truncate(LINES);
        last_lines.iter_mut().for_each(|line| clean(line, LINE));
    }
    if let Some(ApiServerAccess { address, error, error_message, .. }) = &mut report.api_server {
        clean(address, LINE);
        clean(error, LINE);
        keep_sound(error_message, MESSAGE);
    }
    if let Some(pressure) = &mut report.pressure {
        pressure.file_systems.truncate(ITEMS);
        pressure.file_systems.iter_mut().for_each(|of| clean(&mut of.path, LINE));
    }
    report.blocked_processes.truncate(ITEMS);
    for process in &mut report.blocked_processes {
        clean(&mut process.name, NAME);
        clean(&mut process.wait_channel, NAME);
        clean(&mut process.pod_uid, NAME);
    }
    report.kernel_faults.truncate(ITEMS);
    for fault in &mut report.kernel_faults {
        clean(&mut fault.kind, NAME);
        clean(&mut fault.line, LINE);
    }
    report.unobserved_checks.truncate(CHECKS);
    for UnobservedCheck { check, reason, reason_message } in &mut report.unobserved_checks {
        clean(check, NAME);
        clean(reason, LINE);
        keep_sound(reason_message, LINE);
    }
    report
}

/// Without a message that cannot be rendered, or is larger than this, encoded.
fn keep_sound(message: &mut Option<Message>, bytes: usize) {
    if message.as_ref().is_some_and(|message| !is_sound(message, bytes)) {
        *message = None;
    }
}

fn clean(field: &mut String, bytes: usize) {
    *field = text::clean(field, bytes);
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Argument, BlockedProcess, KernelFault, argument::Value};
    use prost::Message as _;

    use super::*;

    #[test]
    fn whatever_is_reported_is_bounded() {
        let long = || "\u{1b}x".repeat(10_000);
        let message = |text: String| {
            let argument = Argument { name: "error".into(), value: Some(Value::Quote(text)) };
            Some(Message { id: "x".into(), arguments: vec![argument] })
        };
        let daemon = |error_message| {
            Some(Daemon { error: long(), error_message, last_lines: vec![long(); 100], ..Daemon::default() })
        };
        let check = |text: String| UnobservedCheck { check: long(), reason: long(), reason_message: message(text) };
        let mut checks = vec![check("x".repeat(230)); 100];
        checks[0] = check(long());
        let report = NodeReport {
            boot_id: long(),
            health_address: long(),
            agent_version: long(),
            kubelet: daemon(message("x".repeat(480))),
            runtime: daemon(message(long())),
            blocked_processes: vec![BlockedProcess { name: long(), ..BlockedProcess::default() }; 100],
            kernel_faults: vec![KernelFault { kind: long(), line: long(), ..KernelFault::default() }; 100],
            unobserved_checks: checks,
            ..NodeReport::default()
        };
        let report = bounded(report);
        assert!(report.encoded_len() < 16 << 10, "{}", report.encoded_len());
        assert!(!report.kernel_faults[0].line.contains('\u{1b}'));
        let daemons = [report.kubelet.as_ref().unwrap(), report.runtime.as_ref().unwrap()];
        assert_eq!(daemons.map(|daemon| daemon.error_message.is_some()), [true, false]);
        let [first, second, ..] = report.unobserved_checks.as_slice() else { panic!("{report:?}") };
        assert!(first.reason_message.is_none() && second.reason_message.is_some());
    }
}
