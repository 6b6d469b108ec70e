### Notes

none_of = 没有关于 { $subject } 的诊断记录。
none_of_container = 没有关于 { $subject } 的容器 { $container } 的诊断记录。
none_found = 没有符合条件的诊断记录。
none_with_uid = 没有编号为 { $uid } 的诊断记录。
nothing_to_diagnose = 没有需要诊断的内容。
only_newest = 只显示最新的 { $limit } 条；使用 --limit 0 显示全部。
lost = { $node } 上的 { $source } 丢失了 { $count } 条记录（{ $from } 至 { $to }）。{ $why }
lost_unknown = { $node } 上的 { $source } 丢失了数量未知的记录（{ $from } 至 { $to }）。{ $why }
on_node = { $name }
on_aggregator = 聚合器

## Status

status_records = 聚合器 { $version }：{ $count } 条记录。
status_records_since = 聚合器 { $version }：{ $count } 条记录，最早的在 { $age }前。
status_no_agent = 尚无 agent 上报。
status_refused = 已拒绝 { $count } 次：{ $reason }。
status_task_down = 任务 { $task } 未运行，已重启 { $restarts } 次：{ $reason }。
status_removed = 已提前移除节点 { $node } 的 { $count } 条记录：账本已满，且大部分来自此节点。保留 { $kept } 条。
status_certificate =
    { $purpose ->
        [server] 聚合器的证书
        [client_ca] 客户端 CA 的证书
       *[other] 证书 { $purpose }
    } 将于 { $day } 过期，还有 { $days } 天。
status_certificate_expired =
    { $purpose ->
        [server] 聚合器的证书
        [client_ca] 客户端 CA 的证书
       *[other] 证书 { $purpose }
    } 已于 { $day } 过期。
health_unknown = 未知
health_ok = 正常
health_degraded = 降级
health_absent = 缺失
exporter_waiting = 等待中
exporter_delivering = 发送中
exporter_retrying = 重试中
exporter_holding = 已暂停
exporter_failed = 已失败

## Columns of tables

column_time = 时间
column_age = 距今
column_last = 最近
column_first = 首次
column_namespace = 命名空间
column_name = 名称
column_container = 容器
column_cause = 原因
column_confidence = 置信度
column_revision = 修订版本
column_severity = 严重程度
column_fatal = 致命
column_exit = 退出码
column_signal = 信号
column_count = 次数
column_node = 节点
column_uid = 编号
column_summary = 摘要
column_last_seen = 上次上报
column_source = 来源
column_health = 状态
column_since = 持续
column_gaps = 缺口
column_report = 上报
column_kubelet = KUBELET
column_runtime = 容器运行时
column_uptime = 开机时长
column_version = AGENT
daemon_running = 运行中
daemon_down = 未运行
daemon_hung = 无响应
daemon_unhealthy = 不健康
daemon_restarting = 反复重启
column_reason = 原因
column_exporter = 导出器
column_state = 状态
column_sent = 已发送
column_to_send = 待发送
column_retries = 重试
column_dead_letters = 死信
column_lost = 丢失
column_to = 目标
column_what = 发生了什么
column_pod = Pod
column_after = 延迟

## Errors

not_a_moment = 可用写法：时长如 90s、1h30m、2d；日期如 2026-11-20；或时间如 2026-11-20T10:00、10:00、2026-11-20T10:00:00Z
not_a_duration = 应为时长，例如 90s、10m 或 1h30m
not_a_cause = 没有这个原因；用 `coroner causes` 可列出全部
error_prefix = coroner：{ $error }
error_plain = { $text }
error_ambiguous = { $name } 存在于多个命名空间：{ $namespaces }；请用 -n 指定
error_subject = { $subject } 不符合 NAME、KIND/NAME、NAMESPACE/NAME 或 NAMESPACE/KIND/NAME 的形式
error_namespace = { $subject } 不在命名空间 { $namespace } 中
error_kind = 不支持解释 { $kind } 类型的对象；如果 { $kind } 是命名空间，请使用：coroner why { $name } -n { $kind }
error_kind_before_name = { $kind } 不是可解释的对象类型：pod、deploy、rs、sts、ds、job、cronjob、node、svc 或 ing；命名空间请用 -n 指定
error_period = --since（{ $since }）必须早于 --until（{ $until }）
error_no_answer = 聚合器 { $url } 没有响应：{ $reason }
error_question = 聚合器拒绝了该请求：{ $reason }
error_credentials = 聚合器 { $url } 要求提供凭据：--token-file，或 --tls-cert 和 --tls-key
error_token_refused = 聚合器 { $url } 不接受 --token-file 的令牌：{ $reason }。请为其受众（audience）创建令牌：kubectl create token ACCOUNT --audience coroner
error_credentials_refused = 聚合器 { $url } 不接受 { $flag } 的凭据：{ $reason }
error_status = 聚合器 { $url } 返回 { $code }：{ $reason }
error_url = --aggregator { $url }：{ $reason }
url_malformed = 不是 http://HOST:PORT、https://HOST:PORT 或 unix:///PATH 形式的 URL
url_token_in_clear = --token-file 的令牌会以明文传输；请使用 https://
url_plain = 发往其他机器的 http:// 可能被窃听或篡改；请使用 https:// 或 --insecure
url_needs_ca = 使用 https:// 时需要聚合器的 CA 证书：--tls-ca FILE
url_needs_both = --tls-cert 和 --tls-key 必须同时指定
url_scheme = 仅支持 http://、https:// 和 unix://
error_tls = 无法用 --tls-ca、--tls-cert 和 --tls-key 配置 TLS：{ $reason }
error_tls_pair = --tls-key 的私钥与 --tls-cert 的证书不匹配
error_output = 无法写入输出：{ $reason }
error_format = 无法以文本形式输出：{ $reason }
error_runtime = 无法启动异步运行时：{ $reason }
