//! Why the aggregator does not start, beside what is wrong with its stores.

coroner_diagnosis::messages! {
    exposed_plain(address: Identifier);
    exposed_anonymous(address: Identifier);
    not_an_endpoint();
    cannot_listen(endpoint: Quote, error: Quote);
    tls_unreadable(path: Quote, error: Quote);
    tls_content(path: Quote, what: Identifier, error: Quote);
    tls_unusable(error: Quote);
    tls_verifier(error: Quote);
    issuer_no_cluster();
    issuer_no_answer(verb: Identifier, object: Quote);
    issuer_denied(verb: Identifier, object: Quote, error: Quote);
    issuer_refused(verb: Identifier, object: Quote, error: Quote);
    issuer_content(what: Identifier);
    issuer_sign(error: Quote);
    issuer_file(path: Quote, error: Quote);
    export_same_name(name: Quote);
    export_no_cluster();
    export_unreadable(name: Quote, path: Quote, error: Quote);
    export_file(doing: Identifier, path: Quote, error: Quote);
    ledger_file(doing: Identifier, path: Quote, error: Quote);
    ledger_sqlite(doing: Identifier, error: Quote);
    ledger_stream(doing: Identifier, error: Quote);
    ledger_stream_changed();
    ledger_writer_failed();
    ledger_writer_late();
    ledger_deadline();
    ledger_unavailable();
}
