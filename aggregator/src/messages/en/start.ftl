### Why the aggregator does not start.

exposed_plain = { $address } is reachable from other machines, and without TLS every host on the path could read and forge: give --issue-tls, or --tls-cert and --tls-key, or --insecure if the network is protected otherwise
exposed_anonymous = { $address } is reachable from other machines, and callers there could not be distinguished: give --tls-client-ca, run where there is an API server to review tokens, or give --insecure if the network is protected otherwise
not_an_endpoint = give IP:PORT, such as 127.0.0.1:7070, or unix:///PATH
cannot_listen = cannot listen on { $endpoint }: { $error }

tls_unreadable = cannot read { $path }: { $error }
tls_content =
    { $path } contains no usable { $what ->
        [certificate] certificate
        [key] private key
       *[list] revocation list
    }: { $error }
tls_unusable = cannot use the certificate and key given for TLS: { $error }
tls_verifier = cannot use the client CA or its revocation list: { $error }

issuer_no_cluster = --issue-tls keeps its authority in the cluster, and there is none: run in a pod, or give --kubeconfig
issuer_no_answer = cannot { $verb } { $object }: the API server did not answer in time
issuer_denied = cannot { $verb } { $object }: { $error }. It is part of the manifests, as is the Role for it: apply them again
issuer_refused = cannot { $verb } { $object }: { $error }
issuer_content =
    the Secret of the authority contains { $what ->
        [number] more certificates than keys, or fewer
        [certificate] no certificate
        [key] no private key
       *[authority] no authority
    }; remove its data to have another authority created
issuer_sign = cannot create a certificate: { $error }
issuer_file = cannot write the certificate to { $path }: { $error }

export_same_name = two exporters are called { $name }; give one of them another name, such as ?name=siem-2
export_no_cluster = --export events: needs an API server: run in a pod, or give --kubeconfig
export_unreadable = exporter { $name }: cannot read { $path }: { $error }; correct --export, or create the file
export_file = cannot { $doing } { $path }: { $error }

ledger_file = cannot { $doing } ledger { $path }: { $error }
ledger_sqlite = cannot { $doing }: { $error }
ledger_stream = cannot { $doing }: { $error }
ledger_stream_changed = the stream is not the one that was read so far; the aggregator has to restart with it
ledger_writer_failed = the ledger's writer has failed
ledger_writer_late = the ledger's writer did not end in time
ledger_deadline = the query took too long
ledger_unavailable = the ledger cannot store anything at present
