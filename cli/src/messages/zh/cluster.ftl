### 经由 API 服务器访问聚合器。

cluster_kubeconfig = 无法使用 kubeconfig：{ $reason }
cluster_no_kubeconfig = 无法读取 kubeconfig { $path }：{ $error }。请用 --kubeconfig 或 KUBECONFIG 指定，或用 --aggregator 指定聚合器的地址
cluster_account = --account { $account }：须为 ServiceAccount 的“命名空间/名称”
cluster_no_pods = 无法列出命名空间 { $namespace } 中的 Pod：{ $reason }
cluster_no_aggregator = 命名空间 { $namespace } 中没有运行聚合器；请用 --system-namespace 指定安装所在的命名空间
cluster_no_forward = 无法转发端口到 Pod { $pod }：{ $reason }。所需权限：在命名空间 { $namespace } 中对 pods/portforward 的 create
cluster_no_authority = 无法从命名空间 { $namespace } 的 ConfigMap { $name } 读取聚合器的 CA：{ $reason }。如使用自己的证书，请用 --aggregator 和 --tls-ca
cluster_no_token = 无法取得 ServiceAccount { $account } 的令牌：{ $reason }。所需权限：对 serviceaccounts/token 的 create。可用 --account NAMESPACE/NAME 指定自己命名空间中的账户，显示的内容取决于该账户的权限
cluster_file = 无法写入 { $path }：{ $reason }

ui_open = 页面地址为 { $url }，在本命令结束（Ctrl-C）之前有效。
ui_sign_in = 证书由聚合器自行签发，浏览器可能会发出警告。获取登录所用的令牌：{ $command }
ui_no_browser = 无法启动浏览器，请自行打开该地址。
