### Why a store cannot be used.

outbox_in_use = { $path } is in use by another process. Only one coroner-agent may use an outbox: stop the other one, or give this one another file with --outbox.
ledger_in_use = { $path } is in use by another process. Only one coroner-aggregator may use a ledger: stop the other one, or give this one another file with --ledger.
outbox_is_later = { $path } is an outbox of version { $found }, written by a later coroner-agent; this one knows versions up to { $known }. Nothing in it was changed. Run the later version again until `coroner status` shows that nothing waits, or move the file away: what it still holds is then not sent.
ledger_is_later = { $path } is a ledger of version { $found }, written by a later coroner-aggregator; this one knows versions up to { $known }. Nothing in it was changed. Run the later version again, or restore the backup that was made before the upgrade: coroner-aggregator restore. Agents send again what their outboxes still hold.
ledger_is_too_old = { $path } is a ledger of version { $found }, and this coroner-aggregator reads version { $known } and the one before. Nothing in it was changed. Upgrade step by step: run the version in between once.
outbox_is_foreign = { $path } is not an outbox but another program's database (application id { $application }). Nothing in it was changed. Give another file with --outbox.
ledger_is_foreign = { $path } is not a ledger of coroner-aggregator. Nothing in it was changed. Give another file with --ledger.
ledger_is_damaged = ledger { $path } is damaged ({ $detail }). Restore a backup (coroner-aggregator restore), or move the file away to start with an empty ledger.
ledger_is_denied = cannot use ledger { $path } as uid { $uid }: { $directory } belongs to uid { $owner }, gid { $group }, with mode { $mode }; on the volume, run: chown { $uid }:{ $gid } DIRECTORY
backup_exists = { $path } exists already; --force replaces it
backup_is_ledger = { $path } is the ledger itself; give another file for the backup
