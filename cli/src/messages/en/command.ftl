### Notes

none_of = No diagnosis of { $subject } is recorded.
none_of_container = No diagnosis of container { $container } of { $subject } is recorded.
none_found = No such diagnosis is recorded.
none_with_uid = No diagnosis { $uid } is recorded.
nothing_to_diagnose = Nothing to diagnose.
only_newest =
    { $limit ->
        [one] Only the newest one is shown
       *[other] Only the newest { $limit } are shown
    }; --limit 0 shows all.
lost =
    { $count ->
        [one] A record of { $source } on { $node } was lost
       *[other] { $count } records of { $source } on { $node } were lost
    }, between { $from } and { $to }. { $why }
lost_unknown = An unknown number of records of { $source } on { $node } were lost, between { $from } and { $to }. { $why }
on_node = { $name }
on_aggregator = the aggregator

## Status

status_records = Aggregator { $version }: { $count } records.
status_records_since = Aggregator { $version }: { $count } records, the oldest { $age } ago.
status_no_agent = No agent has reported yet.
status_refused =
    Refused { $count ->
        [one] once
       *[other] { $count } times
    }: { $reason }.
status_task_down = Task { $task } is down, restarted { $restarts } times so far: { $reason }.
status_removed =
    { $count ->
        [one] A record of { $node } was
       *[other] { $count } records of { $node } were
    } removed early: the ledger is full, and most of it is from this node. { $kept } are kept.
status_certificate =
    { $purpose ->
        [server] The aggregator's certificate
        [client_ca] The certificate of the CA for clients
       *[other] The certificate { $purpose }
    } expires on { $day }, in { $days ->
        [one] one day
       *[other] { $days } days
    }.
status_certificate_expired =
    { $purpose ->
        [server] The aggregator's certificate
        [client_ca] The certificate of the CA for clients
       *[other] The certificate { $purpose }
    } expired on { $day }.
health_unknown = unknown
health_ok = ok
health_degraded = degraded
health_absent = absent
exporter_waiting = waiting
exporter_delivering = delivering
exporter_retrying = retrying
exporter_holding = holding
exporter_failed = failed

## Columns of tables

column_time = TIME
column_age = AGE
column_last = LAST
column_first = FIRST
column_namespace = NAMESPACE
column_name = NAME
column_container = CONTAINER
column_cause = CAUSE
column_confidence = CONFIDENCE
column_revision = REV
column_severity = SEVERITY
column_fatal = FATAL
column_exit = EXIT
column_signal = SIGNAL
column_count = COUNT
column_node = NODE
column_uid = UID
column_summary = SUMMARY
column_last_seen = REPORTED
column_source = SOURCE
column_health = HEALTH
column_since = SINCE
column_gaps = GAPS
column_report = REPORT
column_kubelet = KUBELET
column_runtime = RUNTIME
column_uptime = UPTIME
column_version = AGENT
daemon_running = running
daemon_down = down
daemon_hung = hung
daemon_unhealthy = unhealthy
daemon_restarting = restarting
column_reason = REASON
column_exporter = EXPORTER
column_state = STATE
column_sent = SENT
column_to_send = TO SEND
column_retries = RETRIES
column_dead_letters = DEAD LETTERS
column_lost = LOST
column_to = TO
column_what = WHAT HAPPENED
column_pod = POD
column_after = AFTER

## Errors

not_a_moment = neither an age such as 90s, 1h30m or 2d, a date such as 2026-11-20, nor a time such as 2026-11-20T10:00, 10:00 or 2026-11-20T10:00:00Z
not_a_duration = not a duration such as 90s, 10m or 1h30m
not_a_cause = no such cause; `coroner causes` lists them
error_prefix = coroner: { $error }
error_plain = { $text }
error_ambiguous = { $name } is in several namespaces: { $namespaces }; name one with -n
error_subject = { $subject } is not NAME, KIND/NAME, NAMESPACE/NAME or NAMESPACE/KIND/NAME
error_namespace = { $subject } is not in namespace { $namespace }
error_kind = objects of kind { $kind } are not explained; if { $kind } is a namespace: coroner why { $name } -n { $kind }
error_kind_before_name = { $kind } is not a kind that is explained: pod, deploy, rs, sts, ds, job, cronjob, node, svc or ing; a namespace is named with -n
error_period = --since ({ $since }) must be earlier than --until ({ $until })
error_no_answer = the aggregator at { $url } does not answer: { $reason }
error_question = the aggregator refused the request: { $reason }
error_credentials = the aggregator at { $url } requires credentials: --token-file, or --tls-cert and --tls-key
error_token_refused = the aggregator at { $url } does not accept the token of --token-file: { $reason }. Create one for its audience: kubectl create token ACCOUNT --audience coroner
error_credentials_refused = the aggregator at { $url } does not accept the credentials of { $flag }: { $reason }
error_status = the aggregator at { $url } answered { $code }: { $reason }
error_url = --aggregator { $url }: { $reason }
url_malformed = not a URL such as http://HOST:PORT, https://HOST:PORT or unix:///PATH
url_token_in_clear = the token of --token-file would travel unencrypted; use https://
url_plain = http:// beyond this machine can be read and changed on its way; use https:// or --insecure
url_needs_ca = https:// needs the certificate of the aggregator's CA: --tls-ca FILE
url_needs_both = --tls-cert and --tls-key go together
url_scheme = only http://, https:// and unix:// are supported
error_tls = TLS cannot be set up with --tls-ca, --tls-cert and --tls-key: { $reason }
error_tls_pair = the key of --tls-key does not belong to the certificate of --tls-cert
error_output = cannot write the output: { $reason }
error_format = cannot be written as text: { $reason }
error_runtime = cannot start the async runtime: { $reason }
