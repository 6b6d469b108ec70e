use anyhow::Result;
use coroner_tests::{ContainerSpec, MIB, Node, PodSpec};

#[tokio::test(flavor = "multi_thread")]
async fn limit_oom() -> Result<()> {
    let node = Node::start().await?;
    let spec = PodSpec::new("cart", [ContainerSpec::new("app", ["victim", "eat", "200"]).memory_limit(64 * MIB)]);
    let pod = node.kubelet().run(&spec).await?;
    println!("{:?}", pod);
    println!("{:?}", node.kubelet().ended(pod.only_container()).await?);
    let spec = PodSpec::new("cart", [ContainerSpec::new("app", ["nosuch"]).memory_limit(64 * MIB)]);
    let pod = node.kubelet().run(&spec).await?;
    println!("{:?}", pod);
    println!("{:?}", node.kubelet().ended(pod.only_container()).await?);
    let spec = PodSpec::new("cart", [ContainerSpec::new("app", ["victim", "child-eat", "200"])]).memory_limit(64 * MIB);
    let pod = node.kubelet().run(&spec).await?;
    println!("{:?}", node.kubelet().pid(pod.only_container()).await?);
    Ok(())
}
#[test]
fn virtual_machine() {
    println!("{:#?}", coroner_tests::machine::run_tests().map_err(|e| println!("{e:#}")));
}
