### What was lost on the way from a source to a reader, and why.
gap_overrun = The source overwrote records before the agent could read them.
gap_disconnected = The connection to the source broke, and what happened until it was restored could not be read.
gap_overload = The agent could not keep up with the source.
gap_outbox_full = The agent's outbox was full, and the oldest of the least severe records were discarded.
gap_outbox_unusable = The agent's outbox was unusable ({ $reason }); { $saved } records could be recovered.
gap_refused = The aggregator refused the record permanently: { $reason }
gap_retention = The records were removed by the ledger's retention before they were read.
gap_corrupt =
    { $count ->
        [one] A stored record
       *[other] { $count } stored records
    } could not be read back.
gap_damaged_ledger = The ledger's file was damaged; records that were acknowledged and not yet indexed may be lost.
gap_foreign_uid = The aggregator refused a diagnosis because its uid belongs to another node.
gap_rejected =
    The aggregator refused { $count ->
        [one] a record
       *[other] { $count } records
    } permanently; the first reason: { $first }
gap_other_ledger = The ledger is not the one that the reader's position belongs to; older records may be missing.
