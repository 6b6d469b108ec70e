### Why a store cannot be used.

outbox_in_use = { $path } 正被另一个进程使用。一个 outbox 只能由一个 coroner-agent 使用：请停止另一个进程，或用 --outbox 指定其他文件。
ledger_in_use = { $path } 正被另一个进程使用。一个账本只能由一个 coroner-aggregator 使用：请停止另一个进程，或用 --ledger 指定其他文件。
outbox_is_later = { $path } 是更高版本的 coroner-agent 写入的 outbox，版本为 { $found }；当前程序最高支持版本 { $known }。文件内容未作任何改动。请重新运行更高的版本，直到 `coroner status` 显示没有待发送的记录；或将该文件移走，此时其中尚未发送的记录不会再发送。
ledger_is_later = { $path } 是版本 { $found } 的账本，由更高版本的 coroner-aggregator 写入；当前程序最高支持版本 { $known }。文件内容未作任何改动。请重新运行更高的版本，或用 coroner-aggregator restore 恢复升级前的备份；各 agent 会重新发送 outbox 中仍保留的记录。
ledger_is_too_old = { $path } 是版本 { $found } 的账本，当前的 coroner-aggregator 只能读取版本 { $known } 及其前一版本。文件内容未作任何改动。请逐级升级：先运行一次中间的版本。
outbox_is_foreign = { $path } 不是 outbox，而是其他程序的数据库（应用 ID { $application }）。文件内容未作任何改动。请用 --outbox 指定其他文件。
ledger_is_foreign = { $path } 不是 coroner-aggregator 的账本。文件内容未作任何改动。请用 --ledger 指定其他文件。
ledger_is_damaged = 账本 { $path } 已损坏（{ $detail }）。请恢复备份（coroner-aggregator restore），或移走该文件，以空账本重新开始。
ledger_is_denied = 无法以 uid { $uid } 使用账本 { $path }：{ $directory } 属于 uid { $owner }、gid { $group }，权限为 { $mode }；请在该卷上执行：chown { $uid }:{ $gid } DIRECTORY
backup_exists = { $path } 已存在；使用 --force 可将其覆盖
backup_is_ledger = { $path } 就是账本本身；请为备份指定其他文件
