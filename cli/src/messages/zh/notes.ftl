### Notes and errors beside the answers.

file_exists = { $path } 已存在；请用 -f 指定其他文件
cannot_write = 无法写入 { $path }：{ $reason }

## The aggregator

no_aggregator = 在 { $url } 上没有找到聚合器：{ $reason }。请用 --aggregator URL 或 CORONER_AGGREGATOR 指定地址；如要访问集群中的聚合器：kubectl coroner list，或 kubectl -n coroner exec coroner-aggregator-0 -- coroner list
no_connection = 无法与 { $url } 上的聚合器建立连接：{ $reason }
not_allowed = 所用凭据无权在 { $url } 上的聚合器执行此操作：{ $reason }

## Why it cannot be reached

reason_other = { $reason }
reason_refused = 连接被拒绝
reason_no_socket = 套接字不存在
reason_timeout = 等待响应超时
reason_unknown_ca = 其证书不是由 --tls-ca 指定的 CA 签发；请提供该聚合器的 CA 文件
reason_wrong_name = 其证书属于其他名称；--aggregator 中的主机名应与证书一致
reason_expired = 其证书已过期或尚未生效；请更新证书，并检查时钟
reason_certificate = 其证书未被接受（{ $reason }）；--tls-ca 须指定其 CA
reason_client_certificate_wanted = 聚合器要求客户端证书：--tls-cert FILE 和 --tls-key FILE
reason_client_certificate_refused = 聚合器不接受 --tls-cert 指定的证书（{ $reason }）；该证书须由客户端 CA 签发
reason_no_tls = 该端口未使用 TLS；请使用 http://，或改用启用 TLS 的端口
reason_http = 该地址是 HTTP 服务（例如聚合器的页面或健康检查端口）；--aggregator 应使用聚合器 --listen 的端口，默认为 7070
reason_no_service = 该地址有服务（例如健康检查端口），但不是聚合器；--aggregator 应使用聚合器 --listen 的端口，默认为 7070
reason_closed_plain = 连接被对方关闭；如果聚合器启用了 TLS，请使用 https:// 和 --tls-ca FILE；如果对方不是聚合器，请改用聚合器 --listen 的端口，默认为 7070
reason_closed_tls = 连接被对方关闭；如果聚合器要求客户端证书，请使用 --tls-cert FILE 和 --tls-key FILE
reason_closed_with_certificate = 连接被对方关闭；--tls-cert 指定的证书须由聚合器信任的客户端 CA 签发，且未被吊销

## Files of credentials

file_unreadable = { $flag }：无法读取 { $path }：{ $error }
file_without_certificate = { $flag }：{ $path } 中没有证书（PEM）
file_without_key = { $flag }：{ $path } 中没有私钥（PEM）
file_without_token = --token-file：{ $path } 中没有令牌，或多于一个

## Nothing found

none_of_node = 没有关于节点 { $node } 本身的诊断记录。
uid_form = { $uid } 既不是完整的编号，也不是编号的前 8 位或更多字符
uid_ambiguous = 有多条诊断的编号以 { $uid } 开头；请多给出几个字符
node_has_pods = 查看该节点上 Pod 的诊断：coroner list --node { $node }
ledger_reaches = 记录最早可追溯到 { $moment }，即 { $age }前。
ledger_is_empty = 目前还没有任何记录；`coroner status` 可查看哪些节点在上报。
ledger_waits = 有 { $count } 条记录正在等待写入，暂时无法查到；如果持续如此，请检查聚合器的存储卷。
unreadable = 有 { $count } 条诊断已无法从账本中读取，因此未包含在结果中。
other_containers = 有诊断记录的其他容器：{ $names }。
similar = 名称相近且有记录的对象：{ $names }。

## Tables

scan_ended = 已读取最新的 { $count } 条诊断，最早到 { $moment }；用 --since、--until 或 --limit 0 可查看更早的记录。
columns_hidden = 因宽度不足而隐藏的列：{ $columns }。-o wide 可显示所有列。
columns_hidden_and_cut = 因宽度不足而隐藏的列：{ $columns }；被截断的列：{ $last }。-o wide 可显示全部内容。
column_cut = 因宽度不足，{ $column }列被截断。-o wide 可显示完整内容。

## Streams

stream_broke = 数据流中断（{ $reason }）；{ $seconds } 秒后尝试恢复。
stream_idle = 已有 { $seconds } 秒没有数据
stream_closed = 被聚合器关闭
connection_lost = 连接已断开

## Recordings

recording = 将录制 { $duration }；按 Ctrl-C 可提前结束。
recording_failed = { $program } 在录制完成之前结束（{ $how }）；其消息见上文
recorded = 已录制到 { $path }，{ $size }。
recorded_look = 已移除识别出的敏感信息。分享前请检查其他内容：Pod、镜像和进程的名称，以及引用的文本。
recorded_full = 录制已提前结束，以免超过 { $limit }；可用 --max-bytes 调高该限制。
replay_of_stored = 录制自聚合器：聚合器只保存诊断，不保存观测数据，因此按保存的内容原样显示。
replay_was_full = 录制因达到字节数限制而提前结束。
