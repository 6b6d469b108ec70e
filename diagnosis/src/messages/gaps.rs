//! What was lost on the way from a source to a reader, and why.

crate::messages! { pub;
    gap_overrun();
    gap_disconnected();
    gap_overload();
    gap_outbox_full();
    gap_outbox_unusable(reason: Quote, saved: Count);
    gap_refused(reason: Quote);
    gap_retention();
    gap_corrupt(count: Count);
    gap_damaged_ledger();
    gap_foreign_uid();
    gap_rejected(count: Count, first: Quote);
    gap_other_ledger();
}
