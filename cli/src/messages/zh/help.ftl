### Help. The names are those of commands and arguments; the English texts are in `args`.

heading_filters = 筛选
heading_output = 输出
heading_aggregator = 聚合器
heading_cluster = 集群
heading_this_node = 本节点

## The program

coroner = 解释 Kubernetes 上的容器、Pod 和节点为何终止
coroner_after =
    示例：
      coroner why shop/web-5d9c-x7k2      解释某个 Pod 最近一次终止的原因
      coroner why deploy/web -n shop      解释某个工作负载的所有 Pod
      coroner list --since 1h             列出最近一小时的诊断
      kubectl -n coroner exec coroner-aggregator-0 -- coroner list    在集群内运行，无需任何选项

    退出码：
      0   已得到结果
      1   出错
      2   用法错误
      3   没有此类诊断的记录
      4   已得到结果，但原因无法判定、缺少起决定作用的来源，或有记录丢失
      65  无法读取已录制的案例
      69  无法连接聚合器，或缺少演示所需的条件

## Options of all commands

any_format = 输出格式 [默认值：table；why、get 和 replay 默认为完整解释]
any_format_table = 每条一行，以终端宽度为限
any_format_wide = 所有列
any_format_name = 仅名称，每行一个；诊断的编号可用于 get 和 why
any_format_json = proto3 JSON，每行一个对象
any_format_yaml = 内容相同的 YAML，每条一个文档
any_utc = 以 UTC 显示时间 [默认值：TZ 或系统的时区]
any_lang = 文本的语言 [默认值：由 LC_ALL、LC_MESSAGES 或 LANG 决定]
any_lang_en = 英文
any_lang_zh = 中文
any_color = 是否使用颜色；auto 表示仅在终端上使用，且未设置 NO_COLOR
any_no_headers = 不输出列名
any_url = 聚合器的地址：http://HOST:PORT、https://HOST:PORT 或 unix:///PATH
any_tls_ca = 签发聚合器证书的 CA 证书（PEM）；使用 https:// 时必需
any_tls_cert = 向聚合器出示的客户端证书（PEM）
any_tls_key = 客户端证书的私钥（PEM）
any_token_file = 存有令牌（bearer token）的文件，内容如 `kubectl create token` 的输出；每次调用前读取
any_insecure = 允许对其他主机使用 http://；传输内容可能被窃听和篡改
any_context = 通过 kubeconfig 中此 context 的集群访问聚合器（端口转发）；以 `kubectl coroner` 运行时默认为当前 context
any_kubeconfig = 同上，但使用此 kubeconfig [默认值：KUBECONFIG 或 ~/.kube/config]
any_system_namespace = 安装 Coroner 的命名空间
any_account = 以此 ServiceAccount 的身份查询（为其申请令牌），可见内容取决于它的权限 [默认值：该命名空间的 coroner-reader，可查看全部]

## Arguments of several commands

any_namespace = 仅限这些命名空间，以逗号分隔
any_all_namespaces = 所有命名空间（默认）
any_node = 仅限这些节点，以逗号分隔
any_cause = 仅限这些原因，例如 OOM_NODE；`coroner causes` 可列出全部
any_severity = 仅限此严重程度及以上
any_fatal = 仅限导致容器或 Pod 终止的诊断

## why

why = 解释 Pod、工作负载、节点、Service 或 Ingress 发生了什么
why_long = 首先完整解释最近一次终止，然后列出其他诊断。
why_subject = Pod 名称、kubectl 写法的 KIND/NAME（pod、deploy、rs、sts、ds、job、cronjob、node、svc、ing），或诊断编号的开头部分
why_name = 对象的名称（前一个参数为其类型时），例如 coroner why pod web-1
why_namespace = 其所在的命名空间 [默认值：名称无歧义时，在所有命名空间中查找]
why_all_namespaces = 在所有命名空间中查找（默认）
why_container = 仅限此容器
why_after =
    示例：
      coroner why web-5d9c-x7k2               一个 Pod，无论在哪个命名空间
      coroner why shop/web-5d9c-x7k2 -c app   该 Pod 中的一个容器
      coroner why deploy/web -n shop          某个工作负载的所有 Pod
      coroner why pod web-5d9c-x7k2 -n shop   kubectl 的写法
      coroner why node/worker-3               节点本身；其 Pod：coroner list --node worker-3
      coroner why svc/web -n shop             没有后端的 Service 或 Ingress
      coroner why 5b0c3a5e                    按编号的开头部分查找一条诊断

    没有记录时退出码为 3，原因无法判定时为 4。

## list

list = 列出诊断，最新的在前
list_since = 仅限此后发生的：时长如 90s、1h30m、2d；日期如 2026-11-20；或时间如 2026-11-20T10:00、10:00、2026-11-20T10:00:00Z
list_until = 仅限此前发生的，写法同上
list_each = 逐条列出所有诊断（表格默认把重复的诊断合并为一行）
list_limit = 最多显示的条数；0 表示全部
list_after =
    示例：
      coroner list --since 1h                       最近一小时
      coroner list --since 2026-11-20 --until 2026-11-21 -n shop
      coroner list --cause OOM_NODE,OOM_CONTAINER_LIMIT --fatal
      coroner list --each -o wide                   所有诊断，所有列
      coroner list -o name | xargs -n1 coroner get  逐条完整显示
      coroner list -o json | jq -r .summary

    在表格中，同一工作负载的同一容器因同一原因出现的诊断合并为一行，并显示次数以及首次和最近一次的时间。
    使用 name、json、yaml 格式或 --each 时逐条显示。没有诊断时退出码为 3。

## watch

watch = 实时显示新的诊断；数据流中断后自动恢复，不会丢失
watch_nodes = 仅限关于节点本身及其网络连通性的诊断
watch_since = 从此后记录的诊断开始：时长如 90s、1h30m、2d；日期如 2026-11-20；或时间如 2026-11-20T10:00、10:00、2026-11-20T10:00:00Z [默认值：现在]
watch_from_oldest = 从保留的最早记录开始
watch_stop_at_end = 读完已有记录后结束，不再等待；未指定 --since 时从最早的记录开始
watch_after =
    示例：
      coroner watch -n shop                  从现在起的新诊断
      coroner watch --since 10m              从最近十分钟开始
      coroner watch --from-oldest -o json    先输出所有保留的记录，再等待新的
      coroner watch --stop-at-end -o json    仅输出所有保留的记录

## get

get = 完整显示一条诊断
get_uid = 诊断的编号，或其开头的至少八个字符
get_revisions = 同时显示此前的修订版本，最新的在前
get_after =
    示例：
      coroner get 5b0c3a5e-6a0f-5d2e-9e55-0a4f6c1d2e3f
      coroner get 5b0c3a5e                   开头至少八个字符，且无歧义
      coroner get 5b0c3a5e --revisions       包括此前的修订版本

## status

status = 显示各节点及其每个来源的状态
status_after =
    示例：
      coroner status             各节点及其每个来源的状态
      coroner status -o json     供脚本使用
      coroner status -o name     仅节点名称

## ui

ui = 将聚合器的页面转发到本机并用浏览器打开；按 Ctrl-C 结束
ui_port = 本机端口；0 表示任意
ui_no_browser = 只输出地址，不打开浏览器
ui_after =
    示例：
      kubectl coroner ui                    使用 kubeconfig 的当前 context
      coroner ui --context staging --no-browser

## nodes

nodes = 显示每个节点的状态：agent 最近一次上报、kubelet、容器运行时和开机时长
nodes_after =
    示例：
      coroner nodes              每个节点一行，并显示存在问题的原因代码
      coroner why node/worker-3  解释某个节点现在或曾经的问题
      coroner watch --nodes      实时显示节点上发生的事情

## causes

causes = 解释诊断可能给出的原因
causes_cause = 仅完整解释此原因，例如 OOM_NODE
causes_after =
    示例：
      coroner causes             按类别列出所有原因
      coroner causes OOM_NODE    解释其中一个，并给出处理建议
      coroner causes --lang en   使用英文

## record

record = 将本节点的观测数据，或聚合器掌握的某个 Pod 的信息，录制为一个文件，用于问题报告
record_long =
    不指定对象时，使用与 agent 相同的来源观测本节点，不影响正在运行的 agent：内核日志的最近五分钟、容器运行时仍列出的
    容器，以及此后发生的事情。coroner replay 可对该文件进行诊断。指定对象时，文件包含聚合器存储的内容：replay 只能显示，
    不能重新诊断。两种情况下，看起来像敏感信息的内容都会被去除。
record_subject = 录制聚合器存储的该 Pod、工作负载或节点的信息，或编号以此开头的诊断 [默认值：观测本节点]
record_namespace = 仅此命名空间
record_pods = 仅该命名空间中的此 Pod；可重复
record_duration = 录制时长，例如 90s 或 10m
record_max_bytes = 在文件未压缩的大小超过此值之前结束
record_no_logs = 不包含失败容器日志的最后几行
record_file = 要写入的文件，- 表示标准输出 [默认值：coroner-NAME-TIME.tar.gz]
record_agent_flags = coroner-agent 的参数，决定如何观测本节点，例如 --host-root [默认值：在 agent 的容器中使用该 agent 的参数]
record_after =
    示例：
      sudo coroner record --for 10m                           在节点上
      kubectl -n coroner exec coroner-agent-x7k2p -- coroner record --for 10m -n shop -f - > case.tar.gz
                                                              在集群中，在该节点的 agent 内录制
      coroner record shop/web-5d9c-x7k2                       聚合器存储的某个 Pod 的信息
      tar -tzf case.tar.gz                                    附到报告之前先查看内容
      coroner replay case.tar.gz --explain                    得出的诊断及其依据

    到达 --for 或 --max-bytes，或按 Ctrl-C 时结束。文件包含 Pod、节点、镜像和进程的名称，以及容器、kubelet 和 API 服务器
    报告的文字。敏感信息按其形式识别，可能有遗漏。

## replay

replay = 诊断一个已录制的案例
replay_case = coroner record 的文件，或包含 case.json 和每个来源的录制文件的目录，可以是压缩的
replay_explain = 显示由哪条规则判定、其他规则缺少什么、哪些来源缺失，以及为何没有更早得出结论
replay_after =
    示例：
      coroner replay case.tar.gz --explain
      coroner replay tests/corpus/cases/oom-child
      coroner replay ./case -o json

## demo

demo = 在本机启动五个容器，并解释每个容器为何终止；需要 root，不需要 Kubernetes
demo_after =
    示例：
      sudo coroner demo
      sudo coroner demo -o table --lang zh

## completion

completion = 输出 shell 的补全脚本
completion_shell = 目标 shell
completion_after =
    示例：
      source <(coroner completion bash)
      coroner completion zsh > "${"{"}fpath[1]{"}"}/_coroner"
      coroner completion fish > ~/.config/fish/completions/coroner.fish

## man

man = 输出手册页，或将每个命令的手册页写入一个目录
man_directory = 将 coroner.1、coroner-why.1 等写入此目录
man_after =
    示例：
      coroner man | man -l -                         阅读
      coroner man /usr/local/share/man/man1          为每个命令安装一页
