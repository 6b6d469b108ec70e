### What the help and the errors of usage of all programs have in common.

help = 显示帮助
version = 显示版本

heading_arguments = 参数
heading_options = 选项
heading_commands = 命令

any_log_format = stderr 上日志的格式
any_log_format_text = 供人阅读
any_log_format_json = 每行一个 JSON 对象
any_health_listen = 提供健康探针（grpc.health.v1，服务名 `liveness` 和 `readiness`）和 GET /metrics 的地址；不使用 TLS

## Errors of usage

error_unknown_argument = 错误：无法识别的参数 { $argument }
error_unknown_command = 错误：没有命令 { $command }
error_no_command = 错误：缺少命令
error_missing_argument = 错误：缺少参数 { $argument }
error_conflict = 错误：{ $argument } 与 { $other } 不能同时使用
error_no_value = 错误：{ $argument } 缺少值
error_value = 错误：{ $argument } 的值无效：{ $value }
error_too_many = 错误：{ $argument } 不接受多余的值 { $value }
error_not_utf8 = 错误：参数不是有效的 UTF-8 文本
error_similar = 是否想用：{ $other }
error_valid = 可选值：{ $values }
error_number = 应为非负整数
error_range = 应在 { $range } 范围内
error_socket_address = 应为 IP:PORT，例如 127.0.0.1:7070
error_address = 应为 IP 地址
error_usage = 用法：{ $usage }
error_help = 详细说明请使用 --help
