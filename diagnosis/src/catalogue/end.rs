//! Ended by a signal or by itself.

use super::{Cause, Chapter::End, Row, Severity::*, causes, next, row};

pub(super) const ROWS: &[Row] = &[
    row(Cause::LivenessProbeFailed, End, Warning, causes::cause_liveness_probe_failed, |at| {
        vec![next::next_probe(at.namespace, at.pod), at.log_of_the_end()]
    }),
    row(Cause::StartupProbeFailed, End, Warning, causes::cause_startup_probe_failed, |at| {
        vec![next::next_startup_probe(), at.log_of_the_end()]
    }),
    row(Cause::GracePeriodExceeded, End, Warning, causes::cause_grace_period_exceeded, |_| {
        vec![next::next_handle_sigterm(), next::next_grace_period()]
    }),
    row(Cause::PidsLimitReached, End, Error, causes::cause_pids_limit_reached, |at| {
        vec![next::next_process_limit(), at.log_of_the_end()]
    }),
    row(Cause::SandboxDied, End, Error, causes::cause_sandbox_died, |_| vec![next::next_sandbox_log()]),
    row(Cause::StoppedByRequest, End, Info, causes::cause_stopped_by_request, |_| vec![next::next_nothing()]),
    row(Cause::KilledExternally, End, Error, causes::cause_killed_externally, |at| vec![next::next_sender(at.node)]),
    row(Cause::CrashSegfault, End, Error, causes::cause_crash_segfault, |at| {
        [next::next_core_dump()].into_iter().chain(at.roll_back()).collect()
    }),
    row(Cause::CrashAbort, End, Error, causes::cause_crash_abort, |at| vec![at.log_of_the_end()]),
    row(Cause::CrashBusError, End, Error, causes::cause_crash_bus_error, |at| {
        vec![next::next_shm(at.namespace, at.pod, at.container)]
    }),
    row(
        Cause::CrashIllegalInstruction,
        End,
        Error,
        causes::cause_crash_illegal_instruction,
        |_| vec![next::next_cpu()],
    ),
    row(Cause::CrashArithmetic, End, Error, causes::cause_crash_arithmetic, |_| vec![next::next_core_dump()]),
    row(Cause::CrashSeccomp, End, Error, causes::cause_crash_seccomp, |_| vec![next::next_seccomp()]),
    row(Cause::ApplicationExit, End, Warning, causes::cause_application_exit, |at| vec![at.log_of_the_end()]),
    row(Cause::CompletedUnexpectedly, End, Warning, causes::cause_completed_unexpectedly, |at| {
        vec![next::next_foreground(), at.log_of_the_end()]
    }),
    row(Cause::StatusFabricated, End, Warning, causes::cause_status_fabricated, |_| vec![next::next_distrust_status()]),
    row(Cause::Unattributed, End, Warning, causes::cause_unattributed, |at| {
        vec![next::next_missing_sources(), at.log_of_the_end()]
    }),
    row(Cause::StoppedByRestartRule, End, Warning, causes::cause_stopped_by_restart_rule, |at| {
        vec![next::next_restart_rule(at.namespace, at.pod)]
    }),
];
