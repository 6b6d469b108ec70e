//! Crashes: fatal signals of the program's own making.

crate::messages! {
    crash_segfault();
    crash_abort();
    crash_bus_error();
    crash_illegal_instruction();
    crash_arithmetic();
    crash_seccomp();
    crash_main(signal: SignalName, process: Phrase);
    crash_child(signal: SignalName, process: Phrase, code: Count);
    crash_thread(signal: SignalName, process: Phrase, code: Count);
    crash_place(address: Identifier, object: Identifier);
    crash_address(address: Identifier);
    crash_object(object: Identifier);
    crash_abort_of_init();
    crash_not_killed();
}
