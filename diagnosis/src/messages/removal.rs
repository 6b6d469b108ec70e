//! What ended a pod as a whole.

crate::messages! {
    removal_deadline();
    removal_deadline_of(limit: Duration);
    removal_job_deadline(name: Identifier);
    removal_preempted();
    removal_priority(priority: Count);
    removal_preempted_critical();
    removal_critical();
    removal_scheduler_reported(message: Quote);
    removal_shutdown();
    removal_shutdown_why();
    removal_tainted();
    removal_taints(taints: Identifiers);
    removal_taint_unknown();
    removal_device_tainted();
    removal_device_tainted_why();
    removal_api();
    removal_cordoned();
    removal_requested();
    removal_unknown(reason: Quote);
}
