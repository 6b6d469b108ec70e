//! The demo: what it shows, and why it cannot go on.

coroner_diagnosis::messages! {
    demo_begins();
    demo_sources();
    demo_no_verdict(seconds: Count);
    demo_latency(latency: Duration);
    demo_after(latency: Duration);
    demo_all_explained();
    demo_not_explained(pods: Identifiers, sources: Quote);
    demo_no_source();
    demo_nothing();
    scene_oom_main();
    scene_oom_child();
    scene_segfault();
    scene_exit_137();
    scene_kill_9();
    needs_linux();
    needs_root();
    needs_program(path: Identifier);
    needs_memory_cgroups();
    needs_cgroup(path: Identifier, error: Quote);
    needs_cgroup_value(path: Identifier, value: Quote, error: Quote);
    failed_call(call: Identifier, error: Quote);
    failed_read(path: Identifier, error: Quote);
    failed_create(path: Identifier, error: Quote);
    failed_remove(path: Identifier, error: Quote);
    failed_start(program: Identifier, error: Quote);
    failed_container(pod: Identifier, seconds: Count);
    failed_sources(sources: Quote, seconds: Count);
    failed_feed();
    cgroup_busy(path: Identifier);
    daemon_ended(program: Identifier, how: Phrase, log: Phrase);
    daemon_not_ready(program: Identifier, seconds: Count, log: Phrase);
    daemon_not_stopped(program: Identifier, seconds: Count);
    ended_somehow();
    log_ends(line: Quote);
    log_is_empty();
    interrupted();
    victim_not_stopped(used: Bytes);
}
