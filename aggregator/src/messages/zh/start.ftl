### Why the aggregator does not start.

exposed_plain = 其他主机可以访问 { $address }，而未使用 TLS 时，链路上的任何主机都能窃听和伪造数据：请使用 --issue-tls，或 --tls-cert 和 --tls-key；如果网络已有其他保护，请使用 --insecure
exposed_anonymous = 其他主机可以访问 { $address }，但无法区分调用方的身份：请使用 --tls-client-ca，或在有 API 服务器可审核令牌的环境中运行；如果网络已有其他保护，请使用 --insecure
not_an_endpoint = 应为 IP:PORT（例如 127.0.0.1:7070）或 unix:///PATH
cannot_listen = 无法在 { $endpoint } 上监听：{ $error }

tls_unreadable = 无法读取 { $path }：{ $error }
tls_content =
    { $path } 中没有可用的{ $what ->
        [certificate] 证书
        [key] 私钥
       *[list] 吊销列表
    }：{ $error }
tls_unusable = 无法使用指定的 TLS 证书和私钥：{ $error }
tls_verifier = 无法使用客户端 CA 或其吊销列表：{ $error }

issuer_no_cluster = --issue-tls 需要将 CA 保存在集群中，但当前没有集群：请在 Pod 中运行，或指定 --kubeconfig
issuer_no_answer =
    无法{ $verb ->
        [get] 读取
        [update] 更新
       *[patch] 修改
    } { $object }：API 服务器未及时响应
issuer_denied =
    无法{ $verb ->
        [get] 读取
        [update] 更新
       *[patch] 修改
    } { $object }：{ $error }。该对象及其 Role 包含在清单中，请重新应用清单
issuer_refused =
    无法{ $verb ->
        [get] 读取
        [update] 更新
       *[patch] 修改
    } { $object }：{ $error }
issuer_content =
    保存 CA 的 Secret { $what ->
        [number] 中证书与私钥的数量不一致
        [certificate] 中没有证书
        [key] 中没有私钥
       *[authority] 中没有 CA
    }；删除其中的数据后将创建新的 CA
issuer_sign = 无法创建证书：{ $error }
issuer_file = 无法将证书写入 { $path }：{ $error }

export_same_name = 有两个导出器名为 { $name }；请为其中一个指定其他名称，例如 ?name=siem-2
export_no_cluster = --export events: 需要 API 服务器：请在 Pod 中运行，或指定 --kubeconfig
export_unreadable = 导出器 { $name }：无法读取 { $path }：{ $error }；请更正 --export，或创建该文件
export_file = 无法使用 { $path }（{ $doing }）：{ $error }

ledger_file = 无法使用账本 { $path }（{ $doing }）：{ $error }
ledger_sqlite = 账本操作失败（{ $doing }）：{ $error }
ledger_stream = 共享账本的流操作失败（{ $doing }）：{ $error }
ledger_stream_changed = 流已不是此前读取的那一个；聚合器需要重启后重新读取
ledger_writer_failed = 账本的写入线程已失败
ledger_writer_late = 账本的写入线程未能及时结束
ledger_deadline = 查询耗时过长
ledger_unavailable = 账本目前无法存储任何内容
