### The page for people.

## Around every page

skip = 跳到正文
navigation = 导航
sign_out = 退出登录
times_are_utc = 所有时间均为 UTC
live = 实时
live_lost = 正在重新连接……
live_ended = 实时更新已停止：请刷新页面
overview = 总览
to_overview = 返回总览
close = 关闭

## Keys

keys = 快捷键
key_search = 搜索
key_move = 下一条与上一条
key_overview = 总览
key_help = 显示此帮助

## Signing in

sign_in = 登录
sign_in_how = 请粘贴面向此聚合器受众（audience）的令牌。可见内容取决于您的权限：您有权查看（get）其 Pod 的命名空间的诊断。
sign_in_certificate = 此聚合器不接受令牌。请使用客户端证书，或通过持有证书的代理访问。
sign_in_refused = 令牌未被接受。
token = 令牌

## Errors

error_unauthenticated = 请先登录
error_forbidden = 无权查看
error_not_found = 没有找到
error_request = 地址无效
error_busy = 同时请求过多：请稍后再试
error_unavailable = 暂时不可用：请稍后再试
error_internal = 此聚合器出现内部错误

## Filters

search = 搜索
range = 时间范围
last = 最近 { $span }
severity = 严重程度
severity_any = 所有严重程度
at_least = { $severity }及以上
cause = 原因代码
cause_any = 所有原因
namespace = 命名空间
node = 节点
filter = 筛选
clear = 清除筛选

## Severity and confidence

severity_unknown = 未知
info = 提示
warning = 警告
error = 错误
critical = 严重
undetermined = 无法判定
certain = 确定
likely = 很可能
possible = 可能
confidence_unknown = 置信度未知

## The overview

nodes_in_trouble = 需要关注的节点
the_cluster = 整个集群
more_nodes = 另有 { $count } 个
node_silent = 已有 { $span }未上报
node_impaired = 部分来源降级或缺失：{ $sources }
daemon_not_running = { $daemon } 未正常工作
timeline_label = 时间轴上的 { $count } 条诊断
gaps = { $count } 处数据缺口：有内容未被记录
before_records = 此时间之前没有记录
axis_is_cut = 时间轴自 { $moment } 开始，更早的诊断在下一页
the_aggregator = 聚合器
diagnoses = 诊断
unreadable = 有 { $count } 条诊断已无法从账本中读取
nothing_ended = 没有任何终止或故障
nothing_matches = 没有符合筛选条件的诊断
nothing_in = 最近 { $span }内的记录均如此。
nothing_since = 已查找到 { $moment } 为止，更早的诊断尚未查找。
older = 更早的诊断
in_this_list = 条诊断
since = 最早在 { $span }前
on_node = 节点
ago = { $span }前
none = 无

## A diagnosis

times = 共出现 { $count } 次
times_in_container = 该容器共出现 { $count } 次
resolved = 已于 { $moment } 恢复
evidence = 证据
ruled_out = 已排除
related = 其他相关 Pod
candidates = 仍有可能
last_lines = 最后几行日志
next_steps = 处理建议
copy = 复制
copied = 已复制
copy_text = 复制为文本
as_text = 文本
permalink = 固定链接
details = 详情
contributing = 促成因素
exit_code = 退出码
fabricated = （由 kubelet 或容器运行时补填，并非真实退出状态）
signal = 信号
reported_reason = 上报原因
process = 进程
image = 镜像
container_id = 容器 ID
started = 启动时间
restarts = 重启次数
memory_limit = 内存限制
memory_usage = 终止时的内存用量
memory_peak = 最高内存用量
memory_anon = 匿名内存
memory_file = 文件缓存
node_available = 节点可用内存
kernel = 内核
missing = 缺少来源
withheld = 已隐去
uid = 编号
revision = 修订版本 { $number }
revisions = { $count } 个此前的修订版本
earlier = 相同原因的早先记录
of_workload = 同一工作负载的其他诊断（前后一小时）
at_node = 同一节点（前后五分钟）
at_that_time = 同一分钟（全集群）
bytes = { $size }
memory_before = 被终止前的内存用量
memory_picture = { $span }内的内存用量：从 { $first } 到 { $last }
memory_limit_of = 限制 { $size }
memory_high_of = memory.high { $size }
memory_request_of = 请求 { $size }
memory_request = 内存请求
memory_high = memory.high
moments_throttled = CPU 被限流（{ $count } 次），最近
moments_probe = 探针失败（{ $count } 次），最近
moments_restart = 重启（{ $count } 次），最近
killed = 被终止

## A node

about_the_node = 节点本身的问题
not_resolved = 尚未恢复
pods_meanwhile = 期间该节点上的 Pod 有 { $count } 条诊断
pressure = 最近一小时的资源压力
pressure_cpu = CPU（部分任务等待）
pressure_memory = 内存（全部任务等待）
pressure_io = 磁盘（全部任务等待）
pressure_picture = 最近一小时的最高压力：{ $highest }
findings = 报告中的其他内容
kernel_fault = 内核故障
blocked_process = 阻塞的进程
unobserved = 未能检查
last_days = 最近 { $days } 天
only_newest = 仅统计最新的 { $count } 条
reporting = 正常上报
last_report = 最近一次上报
records = { $count } 条记录
removed = 已提前移除 { $count } 条：账本已满，且大部分来自此节点
duration = { $span }
report = agent 的报告
runtime = 容器运行时
api_server = API 服务器
reachable = 可访问
lease_age = Lease 距上次续约
uptime = 开机时长
containers = 运行中的容器
boot = 启动 ID
agent = agent 版本
memory_available = 可用内存
bytes_of = { $part } / { $whole }
daemon_running = 运行中
daemon_down = 未运行：
daemon_hung = 无响应：
daemon_unhealthy = 不健康：
daemon_restarting = 反复重启：
sources = 数据来源
source = 来源
health = 状态
health_unknown = 未知
health_ok = 正常
health_degraded = 降级
health_absent = 缺失
since_when = 自
losses = 丢失次数
reason = 原因

## A workload

over_thirty_days = 三十天内共 { $count } 条诊断
by_cause = 按原因、镜像与修订版本
revision_of_workload = 修订版本
count = 次数
first = 首次
last_time = 最近一次
columns_label = 每日诊断数（按原因），单日最多 { $most } 条
other_causes = 其他原因
