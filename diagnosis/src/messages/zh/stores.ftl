### Stores of another version of Coroner.

outbox_in_use = { $path } 正被另一个进程使用。一个 outbox 只能由一个 coroner-agent 使用：请停止另一个进程，或用 --outbox 指定其他文件。
ledger_in_use = { $path } 正被另一个进程使用。一个账本只能由一个 coroner-aggregator 使用：请停止另一个进程，或用 --ledger 指定其他文件。
outbox_is_later = { $path } 是更高版本的 coroner-agent 写入的 outbox，版本为 { $found }；当前程序最高支持版本 { $known }。文件内容未作任何改动。请重新运行更高的版本，直到 `coroner status` 显示没有待发送的记录；或将该文件移走，此时其中尚未发送的记录不会再发送。
ledger_is_later = { $path } 是版本 { $found } 的账本，由更高版本的 coroner-aggregator 写入；当前程序最高支持版本 { $known }。文件内容未作任何改动。请重新运行更高的版本，或用 coroner-aggregator restore 恢复升级前的备份；各 agent 会重新发送 outbox 中仍保留的记录。
ledger_is_too_old = { $path } 是版本 { $found } 的账本，当前的 coroner-aggregator 只能读取版本 { $known } 及其前一版本。文件内容未作任何改动。请逐级升级：先运行一次中间的版本。
