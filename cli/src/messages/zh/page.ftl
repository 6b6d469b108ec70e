### The explanation page of a diagnosis.

## Labels

label_when = 时间
label_ended = 结束
label_evidence = 证据
label_ruled_out = 已排除
label_related = 其他对象
label_candidates = 可能原因
label_last_lines = 最后日志
label_missing = 缺少来源
label_withheld = 已隐去
label_next = 处理建议
label_cause = 原因代码
label_id = 编号
label_others = 其他诊断

## Words

container_main = 容器 { $name }
container_init = Init 容器 { $name }
container_sidecar = 边车容器 { $name }
container_ephemeral = 临时容器 { $name }
confidence_undetermined = 无法判定
confidence_certain = 确定
confidence_likely = 很可能
confidence_possible = 可能
confidence_unknown = 置信度未知
severity_info = 提示
severity_warning = 警告
severity_error = 错误
severity_critical = 严重
yes = 是
no = 否
age = { $age }前

## When it happened

when_known = { $moment }，{ $age }前
when_unknown = 时间未知
when_node = 节点 { $node }
when_count = 共出现 { $count } 次
when_count_since = 自 { $first } 起共 { $count } 次
when_count_in_container = 该容器共出现 { $count } 次
when_count_in_container_since = 自 { $first } 起在该容器中共 { $count } 次
when_count_in_pods = 在 { $pods } 个 Pod 中共 { $count } 次
when_count_in_pods_since = 自 { $first } 起在 { $pods } 个 Pod 中共 { $count } 次
when_resolved_after = { $age }后恢复
when_resolved = 已恢复
occurrences = { $count } 次

## How it ended

exit_code = 退出码 { $code }
exit_signal = 被 { $signal } 终止
exit_process = 一个进程被 { $signal } 终止；容器并未结束
exit_fabricated = 并非真实退出状态：由 kubelet 或容器运行时补填
exit_reason = 上报原因 { $reason }

## The cause

cause_contributing = { $cause }，促成因素：{ $contributing }
id_revision = { $uid }，修订版本 { $revision }
label_steps = 判定过程
label_held = 未报告
steps_elsewhere = 并非由该节点的规则得出，而是依据集群对象或其他节点的信息。
others_more = ……另有 { $count } 条：请使用 -o table 查看
