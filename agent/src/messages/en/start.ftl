### Why the agent does not start, beside what is wrong with its outbox.

aggregator_invalid = --aggregator { $url }: { $error }
aggregator_without_host = --aggregator { $url }: names no host
aggregator_without_ca = --aggregator { $url }: https needs --tls-ca, the authority to trust
aggregator_plain = --aggregator { $url }: plain http to another machine can be read and forged by every host on the path; use https:// with --tls-ca, or set --insecure
aggregator_plain_token = --aggregator { $url }: every host on the path could take the token of --token-file; use https:// with --tls-ca
aggregator_scheme = --aggregator { $url }: begin with https://, http:// or unix:///
cannot_record = cannot record: { $error }
host_root = --host-root { $path }: { $error }
not_a_socket = write unix:///PATH, or none to switch it off
not_an_agent = { $path }: { $error }
