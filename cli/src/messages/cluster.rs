//! The way to the aggregator through the API server.

coroner_diagnosis::messages! {
    cluster_kubeconfig(reason: Quote);
    cluster_no_kubeconfig(path: Identifier, error: Quote);
    cluster_account(account: Quote);
    cluster_no_pods(namespace: Identifier, reason: Quote);
    cluster_no_aggregator(namespace: Identifier);
    cluster_no_forward(pod: Identifier, namespace: Identifier, reason: Quote);
    cluster_no_authority(name: Identifier, namespace: Identifier, reason: Quote);
    cluster_no_token(account: Identifier, reason: Quote);
    cluster_file(path: Identifier, reason: Quote);
    ui_open(url: Identifier);
    ui_sign_in(command: Identifier);
    ui_no_browser();
}
