//! Never started.

use super::{Cause, Chapter::Start, Row, Severity::*, row, text};

pub(super) const ROWS: &[Row] = &[
    row(
        Cause::CommandNotFound,
        Start,
        Error,
        text(
            "The command, its interpreter or its dynamic loader does not exist in the image.",
            "镜像中没有该命令、它的解释器或它的动态加载器。",
        ),
        &[text(
            "Check command and args against the image; a script's first line and a binary's loader must exist there too.",
            "对照镜像检查 command 和 args；脚本首行的解释器和二进制的加载器也必须存在于镜像中。",
        )],
    ),
    row(
        Cause::CommandNotExecutable,
        Start,
        Error,
        text("The command exists and may not be executed.", "命令存在，但没有执行权限。"),
        &[text("Set the executable bit when the image is built (chmod +x).", "构建镜像时加上可执行权限（chmod +x）。")],
    ),
    row(
        Cause::CommandMissing,
        Start,
        Error,
        text("Neither the pod nor the image names a command.", "Pod 和镜像都没有指定命令。"),
        &[text(
            "Name one in the pod, or an ENTRYPOINT or CMD in the image.",
            "在 Pod 中指定命令，或在镜像中设置 ENTRYPOINT 或 CMD。",
        )],
    ),
    row(
        Cause::WrongArchitecture,
        Start,
        Error,
        text("The command is made for another kind of machine.", "该命令是为另一种机器架构编译的。"),
        &[text(
            "Build the image for this node's architecture, or for several.",
            "为该节点的架构构建镜像，或构建多架构镜像。",
        )],
    ),
    row(
        Cause::ImageNotFound,
        Start,
        Error,
        text("The registry does not have this image.", "镜像仓库中没有这个镜像。"),
        &[text(
            "Check repository, name and tag; a private repository may answer so to who may not read it.",
            "检查仓库、名称和标签；私有仓库对无权读取者也可能如此回答。",
        )],
    ),
    row(
        Cause::ImageNameInvalid,
        Start,
        Error,
        text("The image's name is not a valid one.", "镜像名称不合法。"),
        &[text("Check the image field for spaces and upper-case letters.", "检查 image 字段中是否有空格或大写字母。")],
    ),
    row(
        Cause::ImageUnauthorized,
        Start,
        Error,
        text("The registry refused the pull.", "镜像仓库拒绝了拉取。"),
        &[text(
            "Check the pod's imagePullSecrets, whether they have expired, and what they may read.",
            "检查 Pod 的 imagePullSecrets、是否已过期，以及它们有权读取什么。",
        )],
    ),
    row(
        Cause::ImageRegistryUnreachable,
        Start,
        Error,
        text(
            "The registry could not be reached, or did not answer as one.",
            "无法连接镜像仓库，或对方的应答不像镜像仓库。",
        ),
        &[text(
            "Check the registry's name, and the node's way to it: DNS, proxy, certificates.",
            "检查仓库的名称，以及节点到仓库的通路：DNS、代理、证书。",
        )],
    ),
    row(
        Cause::ImagePullThrottled,
        Start,
        Warning,
        text("The registry limits how often this node may pull.", "镜像仓库限制了该节点的拉取频率。"),
        &[text("Pull with credentials, or through a cache.", "使用凭据拉取，或经由缓存拉取。")],
    ),
    row(
        Cause::ImagePullTimeout,
        Start,
        Error,
        text("The pull took too long.", "拉取镜像耗时过长。"),
        &[text("Check the network, or make the image smaller.", "检查网络，或缩小镜像。")],
    ),
    row(
        Cause::ImageNeverPull,
        Start,
        Error,
        text(
            "The image is not on the node and may not be pulled (imagePullPolicy Never).",
            "节点上没有该镜像，而又不允许拉取（imagePullPolicy 为 Never）。",
        ),
        &[text("Load it onto the node, or allow the pull.", "把镜像载入节点，或允许拉取。")],
    ),
    row(
        Cause::ImagePlatformMismatch,
        Start,
        Error,
        text("The image has no variant for this node's platform.", "镜像没有适用于该节点平台的版本。"),
        &[text("Build the image for this node's platform.", "为该节点的平台构建镜像。")],
    ),
    row(
        Cause::ConfigmapMissing,
        Start,
        Error,
        text("The pod refers to a ConfigMap that does not exist.", "Pod 引用了不存在的 ConfigMap。"),
        &[text(
            "Create it in the pod's namespace, or mend the reference.",
            "在 Pod 所在的命名空间中创建它，或修正引用。",
        )],
    ),
    row(
        Cause::SecretMissing,
        Start,
        Error,
        text("The pod refers to a Secret that does not exist.", "Pod 引用了不存在的 Secret。"),
        &[text(
            "Create it in the pod's namespace, or mend the reference.",
            "在 Pod 所在的命名空间中创建它，或修正引用。",
        )],
    ),
    row(
        Cause::ConfigKeyMissing,
        Start,
        Error,
        text(
            "The pod refers to a key that its ConfigMap or Secret does not have.",
            "Pod 引用了 ConfigMap 或 Secret 中不存在的键。",
        ),
        &[text("Add the key, or mend the reference.", "补上这个键，或修正引用。")],
    ),
    row(
        Cause::VolumeMountFailed,
        Start,
        Error,
        text("A volume could not be attached or mounted.", "某个卷无法挂接或挂载。"),
        &[text(
            "See the storage driver's words in the evidence, and its pods on this node.",
            "查看证据中存储驱动的原话，以及它在该节点上的 Pod。",
        )],
    ),
    row(
        Cause::VolumeClaimUnbound,
        Start,
        Error,
        text("The volume claim is pending or does not exist.", "卷声明（PVC）尚未绑定或不存在。"),
        &[text(
            "Create it, or see why no volume fits: kubectl describe pvc names the storage class's answer.",
            "创建它，或查明为何没有合适的卷：kubectl describe pvc 会显示存储类的答复。",
        )],
    ),
    row(
        Cause::ReadOnlyVolume,
        Start,
        Error,
        text("The program writes to what is mounted read-only.", "程序向只读挂载的位置写入。"),
        &[text("Mount it read-write, or write elsewhere.", "以读写方式挂载，或写到别处。")],
    ),
    row(
        Cause::SecurityPolicyViolation,
        Start,
        Error,
        text(
            "The container's security settings forbid it to run as it wants to.",
            "容器的安全设置不允许它以所要求的方式运行。",
        ),
        &[text(
            "Run the image as another user, or change the securityContext.",
            "以其他用户运行镜像，或修改 securityContext。",
        )],
    ),
    row(
        Cause::ContainerCreateFailed,
        Start,
        Error,
        text("The runtime could not make the container.", "容器运行时无法创建容器。"),
        &[text(
            "See the runtime's message: a mount, a device, a working directory.",
            "查看容器运行时的报错：挂载、设备或工作目录。",
        )],
    ),
    row(
        Cause::SandboxNetworkFailed,
        Start,
        Error,
        text("The pod's network could not be set up.", "无法建立 Pod 的网络。"),
        &[text(
            "See the network plugin's pod and log on this node; other pods on it will fail alike.",
            "查看该节点上网络插件的 Pod 及日志；节点上的其他 Pod 也会同样失败。",
        )],
    ),
    row(
        Cause::PostStartHookFailed,
        Start,
        Error,
        text(
            "The postStart hook failed, so the kubelet ended the container.",
            "postStart 钩子失败，kubelet 因此结束了容器。",
        ),
        &[text("Run the hook by hand in the container.", "在容器中手动执行该钩子。")],
    ),
    row(
        Cause::PreStopHookFailed,
        Start,
        Warning,
        text("The preStop hook failed.", "preStop 钩子失败。"),
        &[text("Run the hook by hand in the container.", "在容器中手动执行该钩子。")],
    ),
    row(
        Cause::RejectedByNode,
        Start,
        Error,
        text("The kubelet refused to admit the pod.", "kubelet 拒绝接纳该 Pod。"),
        &[text(
            "See the reason: room, affinity, or a device that is not registered.",
            "查看原因：资源不足、亲和性不符，或设备未注册。",
        )],
    ),
    row(
        Cause::ImageUnpackFailed,
        Start,
        Error,
        text(
            "The image was fetched, and the node could not store or unpack it.",
            "镜像已下载，但节点无法存储或解压它。",
        ),
        &[text(
            "Check the space and the health of the node's image file system; if the digest or size is wrong, pull again.",
            "检查节点镜像文件系统的剩余空间和健康状况；若摘要或大小不符，请重新拉取。",
        )],
    ),
    row(
        Cause::ImageFormatUnsupported,
        Start,
        Error,
        text(
            "The container runtime does not support the image's kind of manifest or layer.",
            "容器运行时不支持该镜像的清单或层格式。",
        ),
        &[text(
            "Build the image again with a current tool: formats such as Docker schema 1 are no longer supported.",
            "用较新的工具重新构建镜像：Docker schema 1 等旧格式已不再受支持。",
        )],
    ),
    row(
        Cause::ImageRejectedByPolicy,
        Start,
        Error,
        text(
            "A signature policy of the node or a policy of the registry refused the image.",
            "节点的签名策略或镜像仓库的策略拒绝了该镜像。",
        ),
        &[text(
            "Sign the image as the policy demands, or fix what the registry's scanner found.",
            "按策略要求为镜像签名，或修复镜像仓库扫描出的问题。",
        )],
    ),
    row(
        Cause::ImageVolumeFailed,
        Start,
        Error,
        text("An image that the pod mounts as a volume could not be pulled.", "Pod 以卷的形式挂载的镜像无法拉取。"),
        &[text(
            "Check the reference under volumes[].image, and the pod's imagePullSecrets.",
            "检查 volumes[].image 中的引用以及 Pod 的 imagePullSecrets。",
        )],
    ),
    row(
        Cause::SandboxCreateFailed,
        Start,
        Error,
        text("The pod's sandbox could not be created.", "无法创建 Pod 的沙箱。"),
        &[text(
            "See the runtime's message: the sandbox image, the handler of the RuntimeClass, or the runtime itself.",
            "查看容器运行时的报错：沙箱镜像、RuntimeClass 的 handler 或运行时自身。",
        )],
    ),
    row(
        Cause::DevicePrepareFailed,
        Start,
        Error,
        text("Devices of the pod could not be prepared on its node.", "节点无法为该 Pod 准备设备。"),
        &[text("See the device driver's pod and log on this node.", "查看该节点上设备驱动的 Pod 及日志。")],
    ),
];
