### Why a task of the aggregator does not run, and why an exporter does not deliver.

## Tasks

task_ended = 任务已结束
task_failed = { $error }
task_panicked = 任务发生 panic：{ $fault }

## Exporters

export_failed = 无法发送到接收方：{ $error }
export_no_answer = 接收方在 { $limit }内没有应答
export_file = 无法使用文件 { $path }：{ $error }
export_no_certificate = { $path } 中没有证书
export_line_not_a_header = { $path } 第 { $line } 行不是“名称: 值”形式的请求头
export_not_a_header = { $path } 中有请求头含有不允许的字符
export_not_a_file = { $path } 不是普通文件
export_write_failed = 无法写入 { $path }：{ $error }
export_stdout_failed = 无法写入标准输出：{ $error }
export_grpc = gRPC 状态 { $code }：{ $error }
export_grpc_code = gRPC 状态 { $code }
export_http = 接收方返回 HTTP { $status }：{ $answer }
export_http_status = 接收方返回 HTTP { $status }
export_rejected = 接收方拒绝了 { $total } 条记录中的 { $count } 条：{ $error }
export_each_refused = 接收方连续拒绝了多条记录
export_letters_failed = 无法将被拒绝的记录写入死信文件：{ $error }
export_letters_full = 死信文件已满，请将其移走
export_too_large = 一条记录的大小为 { $size }，而服务器最多接受 { $limit }
export_no_stream = 没有 JetStream 流接收主题 { $subject }
export_stream_refused = JetStream 流拒绝了该记录：{ $error }
export_stream_unclear = JetStream 流没有确认该记录
export_not_read = 接收方读取后没有关闭连接；在 URL 中设置 confirm=none 则不要求此确认
export_events_spaced = 一次创建 { $burst } 个事件后，每秒只创建一个
