//! What runs and is not well, or does not end.

crate::messages! {
    unready();
    resize_infeasible();
    resize_deferred();
    resize_failed();
    resize_kept(message: Quote);
    device_failed();
    device_unhealthy(resource: Identifier, id: Identifier);
    device_xid(code: Count, device: Identifier);
    device_failed_why();
    stuck_finalizer();
    stuck_finalizers(names: Identifiers);
    stuck_finalizers_set(names: Identifiers);
    stuck_process();
    stuck_process_why();
    stuck_overdue();
    stuck_unknown();
}
