### Help. The names are those of commands and arguments; the English texts are in `config` and `command`.

coroner_aggregator = 存储 agent 推送的诊断，并提供给读取者
any_listen = 供 agent 和客户端连接的地址（gRPC）：IP:PORT 或 unix:///PATH；可重复
any_ledger = 账本：存储所有记录的文件；不存在时会创建
any_jetstream = 与其他聚合器通过 NATS JetStream 的流共享账本：nats+tls://HOST:PORT/STREAM；此时 --ledger 是该流的本地索引；参见 docs/operating.md
any_issue_tls = 为此名称的 Service 签发并续期 TLS 证书。CA 保存在 Secret coroner-authority 中，并发布在 ConfigMap coroner-ca 中，二者均位于 Pod 所在的命名空间
any_issue_tls_file = 保存所签发证书及其私钥的文件
any_tls_cert = TLS 证书链（PEM）
any_tls_key = 该证书的私钥（PEM）
any_tls_client_ca = 签发客户端证书的 CA（PEM）；如果同时接受令牌，则客户端有证书或令牌之一即可
any_tls_client_crl = 该 CA 的吊销列表（PEM）
any_token_audience = 令牌（bearer token）必须具有的受众（audience）；由 API 服务器审核
any_agent_account = agent 的令牌所属的用户；每个 agent 只能推送其令牌所绑定的节点的记录
any_insecure = 允许其他主机上的客户端不使用 TLS，或不出示凭据
any_retain_days = 记录的保留天数
any_retain_bytes = 账本在磁盘上的最大大小，例如 1073741824 或 1GiB
any_http_listen = 网页的地址：IP:PORT 或 unix:///PATH，TLS 与 --listen 相同；参见 docs/page.md
any_no_reflection = 不提供 grpc.reflection（用于列出服务和消息）
any_kubeconfig = 用于访问 API 服务器的 kubeconfig [默认值：Pod 的 ServiceAccount]
any_cluster_watch = 是否监视集群，以发现 agent 无法观测的情况：无法调度或被拒绝的 Pod、没有后端的 Service
any_cluster_watch_auto = 配置了 API 服务器时监视
any_cluster_watch_off = 从不监视
any_export = 导出所有记录的目标，例如 otlp+https://HOST:PORT 或 file:///PATH；可重复；参见 docs/exporters.md

## Backup and restore

backup = 将账本复制到一个文件；聚合器可以正在运行
backup_ledger = 聚合器的账本
backup_to = 要写入的备份文件
backup_force = 覆盖已有的备份文件
restore = 用备份替换账本；此时不能有聚合器正在运行，原有账本会保留在旁边
restore_from = 备份文件
restore_ledger = 聚合器的账本
