//! Pods whose node is gone or does not respond.

crate::messages! {
    lost_stuck();
    lost_stuck_why(node: Identifier);
    lost_stuck_gone();
    lost_stuck_gone_why(node: Identifier);
    lost_stateful_set();
    lost_overdue();
    lost_no_object(node: Identifier);
    lost_collected();
    lost_collected_why(node: Identifier);
    lost_given_up();
    lost_given_up_why(node: Identifier);
    lost_forced();
    lost_forced_why(node: Identifier);
    lost_removed_running();
}
