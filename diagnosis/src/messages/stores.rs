//! Why a store cannot be used: the outbox of an agent, the ledger of an aggregator and its backup.

crate::messages! {
    pub;
    outbox_in_use(path: Quote);
    ledger_in_use(path: Quote);
    outbox_is_later(path: Quote, found: Count, known: Count);
    ledger_is_later(path: Quote, found: Count, known: Count);
    ledger_is_too_old(path: Quote, found: Count, known: Count);
    outbox_is_foreign(path: Quote, application: Identifier);
    ledger_is_foreign(path: Quote);
    ledger_is_damaged(path: Quote, detail: Quote);
    ledger_is_denied(
        path: Quote,
        uid: Identifier,
        gid: Identifier,
        directory: Quote,
        owner: Identifier,
        group: Identifier,
        mode: Identifier
    );
    backup_exists(path: Quote);
    backup_is_ledger(path: Quote);
}
