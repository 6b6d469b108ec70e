//! Why a task of the aggregator does not run, and why an exporter does not deliver.

crate::messages! { pub;
    task_ended();
    task_failed(error: Quote);
    task_panicked(fault: Quote);
    export_failed(error: Quote);
    export_no_answer(limit: Duration);
    export_file(path: Identifier, error: Quote);
    export_no_certificate(path: Identifier);
    export_line_not_a_header(path: Identifier, line: Count);
    export_not_a_header(path: Identifier);
    export_not_a_file(path: Identifier);
    export_write_failed(path: Identifier, error: Quote);
    export_stdout_failed(error: Quote);
    export_grpc(code: Identifier, error: Quote);
    export_grpc_code(code: Identifier);
    export_http(status: Identifier, answer: Quote);
    export_http_status(status: Identifier);
    export_rejected(count: Count, total: Count, error: Quote);
    export_each_refused();
    export_letters_failed(error: Quote);
    export_letters_full();
    export_too_large(size: Bytes, limit: Bytes);
    export_no_stream(subject: Identifier);
    export_stream_refused(error: Quote);
    export_stream_unclear();
    export_not_read();
    export_events_spaced(burst: Count);
}
