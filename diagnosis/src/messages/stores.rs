//! Stores of another version of Coroner.

crate::messages! {
    pub;
    outbox_in_use(path: Quote);
    ledger_in_use(path: Quote);
    outbox_is_later(path: Quote, found: Count, known: Count);
    ledger_is_later(path: Quote, found: Count, known: Count);
    ledger_is_too_old(path: Quote, found: Count, known: Count);
}
