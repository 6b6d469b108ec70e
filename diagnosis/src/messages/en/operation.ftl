### Why a task of the aggregator does not run, and why an exporter does not deliver.

## Tasks

task_ended = it ended
task_failed = { $error }
task_panicked = it panicked: { $fault }

## Exporters

export_failed = cannot send to the receiver: { $error }
export_no_answer = the receiver did not answer within { $limit }
export_file = cannot use { $path }: { $error }
export_no_certificate = { $path } contains no certificate
export_line_not_a_header = { $path }, line { $line }: not a header of the form NAME: VALUE
export_not_a_header = { $path }: a header contains characters that are not permitted
export_not_a_file = { $path } is not a regular file
export_write_failed = cannot write to { $path }: { $error }
export_stdout_failed = cannot write to stdout: { $error }
export_grpc = gRPC status { $code }: { $error }
export_grpc_code = gRPC status { $code }
export_http = the receiver answered HTTP { $status }: { $answer }
export_http_status = the receiver answered HTTP { $status }
export_rejected = the receiver rejected { $count } of { $total } records: { $error }
export_each_refused = the receiver refuses one record after another
export_letters_failed = cannot write refused records to the dead-letter file: { $error }
export_letters_full = the dead-letter file is full; move it away
export_too_large = a record has { $size }, and the server accepts { $limit } at most
export_no_stream = no JetStream stream receives the subject { $subject }
export_stream_refused = the stream refused the record: { $error }
export_stream_unclear = the stream did not acknowledge the record
export_not_read = the receiver did not close the connection after reading; confirm=none in the URL does without this confirmation
export_events_spaced = after { $burst } events at once, one event is created each second
