### The way to the aggregator through the API server.

cluster_kubeconfig = cannot use the kubeconfig: { $reason }
cluster_no_kubeconfig = cannot read the kubeconfig { $path }: { $error }. Name one with --kubeconfig or KUBECONFIG, or the address of the aggregator with --aggregator
cluster_account = --account { $account }: must be NAMESPACE/NAME of a ServiceAccount
cluster_no_pods = cannot list the pods of namespace { $namespace }: { $reason }
cluster_no_aggregator = no aggregator runs in namespace { $namespace }; name the namespace of the installation with --system-namespace
cluster_no_forward = cannot forward a port to pod { $pod }: { $reason }. The permission needed: create on pods/portforward in namespace { $namespace }
cluster_no_authority = cannot read the CA of the aggregator from ConfigMap { $name } in namespace { $namespace }: { $reason }. With certificates of your own, use --aggregator and --tls-ca
cluster_no_token = cannot get a token of ServiceAccount { $account }: { $reason }. The permission needed: create on serviceaccounts/token. With --account NAMESPACE/NAME, an account of your own namespace is used, and its permissions decide what is shown
cluster_file = cannot write { $path }: { $reason }

ui_open = The page is at { $url } until this command ends (Ctrl-C).
ui_sign_in = The browser may warn of its certificate, which is issued by the aggregator itself. A token to sign in with: { $command }
ui_no_browser = No browser could be started; open the address yourself.
