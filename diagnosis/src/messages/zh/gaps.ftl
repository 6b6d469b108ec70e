### What was lost on the way from a source to a reader, and why.
gap_overrun = 来源在 agent 读取之前覆盖了记录。
gap_disconnected = 与来源的连接中断，期间发生的事情无法读取。
gap_overload = agent 来不及处理该来源的数据。
gap_outbox_full = agent 的 outbox 已满，丢弃了严重程度最低的记录中最早的部分。
gap_outbox_unusable = agent 的 outbox 无法使用（{ $reason }），恢复了 { $saved } 条记录。
gap_refused = 聚合器永久拒绝了该记录：{ $reason }
gap_retention = 记录在被读取之前已因账本的保留期限而删除。
gap_corrupt = { $count } 条已存储的记录无法读取。
gap_damaged_ledger = 账本文件已损坏；已确认但尚未建立索引的记录可能丢失。
gap_foreign_uid = 聚合器拒绝了一条诊断，因为其 uid 属于另一个节点。
gap_rejected = 聚合器永久拒绝了 { $count } 条记录；首条原因：{ $first }
gap_other_ledger = 账本已更换，不再是读取位置所属的账本；更早的记录可能缺失。
