### Why the agent does not start, beside what is wrong with its outbox.

aggregator_invalid = --aggregator { $url }：{ $error }
aggregator_without_host = --aggregator { $url }：缺少主机
aggregator_without_ca = --aggregator { $url }：https 需要 --tls-ca（受信任的 CA）
aggregator_plain = --aggregator { $url }：以明文 http 连接其他主机，链路上的任何主机都能窃听和伪造数据；请使用 https:// 并指定 --tls-ca，或设置 --insecure
aggregator_plain_token = --aggregator { $url }：链路上的任何主机都能窃取 --token-file 的令牌；请使用 https:// 并指定 --tls-ca
aggregator_scheme = --aggregator { $url }：应以 https://、http:// 或 unix:/// 开头
cannot_record = 无法录制：{ $error }
host_root = --host-root { $path }：{ $error }
not_a_socket = 应为 unix:///PATH，或用 none 关闭
not_an_agent = { $path }：{ $error }
