### Notes and errors beside the answers.

file_exists = { $path } exists already; give another file with -f
cannot_write = cannot write to { $path }: { $reason }

## The aggregator

no_aggregator = no aggregator at { $url }: { $reason }. Give its address with --aggregator URL or CORONER_AGGREGATOR; for that of a cluster: kubectl coroner list, or kubectl -n coroner exec coroner-aggregator-0 -- coroner list
no_connection = cannot connect to the aggregator at { $url }: { $reason }
not_allowed = the aggregator at { $url } does not permit this with the given credentials: { $reason }

## Why it cannot be reached

reason_other = { $reason }
reason_refused = connection refused
reason_no_socket = the socket does not exist
reason_timeout = no answer in time
reason_unknown_ca = its certificate is not signed by the CA of --tls-ca; give the CA file of this aggregator
reason_wrong_name = its certificate is for another name; use the name in the certificate as the host of --aggregator
reason_expired = its certificate has expired or is not valid yet; renew it, and check the clocks
reason_certificate = its certificate is not accepted ({ $reason }); --tls-ca must name its CA
reason_client_certificate_wanted = it requires a client certificate: --tls-cert FILE and --tls-key FILE
reason_client_certificate_refused = it does not accept the certificate of --tls-cert ({ $reason }); it must be signed by the CA for clients
reason_no_tls = it does not use TLS on this port; use http://, or the port that uses TLS
reason_http = an HTTP server answers there, such as the aggregator's page or a health port; give --aggregator the port of its --listen, by default 7070
reason_no_service = a server answers there, such as a health port, but it is not the aggregator; give --aggregator the port of its --listen, by default 7070
reason_closed_plain = it closed the connection; if it uses TLS: https:// and --tls-ca FILE; if it is not the aggregator: the port of its --listen, by default 7070
reason_closed_tls = it closed the connection; if it requires a client certificate: --tls-cert FILE and --tls-key FILE
reason_closed_with_certificate = it closed the connection; the certificate of --tls-cert must be signed by the CA that it trusts for clients, and not be revoked

## Files of credentials

file_unreadable = { $flag }: cannot read { $path }: { $error }
file_without_certificate = { $flag }: { $path } contains no certificate (PEM)
file_without_key = { $flag }: { $path } contains no private key (PEM)
file_without_token = --token-file: { $path } contains no token, or more than one

## Nothing found

none_of_node = No diagnosis of node { $node } itself is recorded.
uid_form = { $uid } is neither a uid nor the first eight or more characters of one
uid_ambiguous = several diagnoses have a uid that begins with { $uid }; give more of its characters
node_has_pods = Diagnoses of its pods: coroner list --node { $node }
ledger_reaches = The records go back to { $moment }, { $age } ago.
ledger_is_empty = Nothing is recorded yet; `coroner status` shows which nodes report.
ledger_waits = { $count ->
    [one] One record waits to be stored
   *[other] { $count } records wait to be stored
} and cannot be found yet; check the volume of the aggregator if this persists.
unreadable = { $count ->
    [one] One diagnosis can no longer be read from the ledger
   *[other] { $count } diagnoses can no longer be read from the ledger
}; the answer lacks what they contain.
other_containers = Diagnoses of other containers are recorded: { $names }.
similar = Recorded under similar names: { $names }.

## Tables

scan_ended = The newest { $count } diagnoses were read, back to { $moment }; --since, --until and --limit 0 reach further.
columns_hidden = Hidden for lack of space: { $columns }. -o wide shows all columns.
columns_hidden_and_cut = Hidden for lack of space: { $columns }; cut: { $last }. -o wide shows everything.
column_cut = Cut for lack of space: { $column }. -o wide shows it in full.

## Streams

stream_broke = The stream broke ({ $reason }); trying to resume in { $seconds } s.
stream_idle = no data for { $seconds } s
stream_closed = closed by the aggregator
connection_lost = the connection was lost

## Recordings

recording = Recording for { $duration }; Ctrl-C ends it earlier.
recording_failed = { $program } ended before the recording was complete ({ $how }); its messages are above
recorded = Recorded in { $path }, { $size }.
recorded_look = Secrets that were recognised are removed. Before you share it, check what else it contains: names of pods, images and processes, and quoted texts.
recorded_full = It ended early, so as not to exceed { $limit }; --max-bytes allows more.
replay_of_stored = Recorded from an aggregator, which stores diagnoses and not what was observed: shown as they were stored.
replay_was_full = The recording ended early, because it had reached its limit of bytes.
