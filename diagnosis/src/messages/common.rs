//! Texts that several rules share.

crate::messages! {
    process_named(name: Identifier, pid: Count);
    process_nameless(pid: Count);
    kubelet_reported(message: Quote);
    kubelet_keeps_trying(message: Quote);
    runtime_reported(message: Quote);
    decided_by_signals();
    decided_by_wait();
    decided_by_events();
    decided_by_containerd();
    decided_by_own_log();
    signal_sent(signal: SignalName, target: Identifier, pid: Count, sender: Phrase);
    sender_kernel();
    sender(name: Identifier, pid: Count);
    sender_program(name: Identifier, pid: Count, program: Identifier);
    exit_reported(reason: Quote, code: Count);
    exit_code_reported(code: Count);
    exit_waited(code: Count);
    exit_waited_signal(signal: SignalName);
}
