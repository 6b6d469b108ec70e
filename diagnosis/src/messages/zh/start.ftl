### What does not start.

## The command and the container

start_command_not_found = 无法启动：镜像中不存在该命令或其解释器
start_command_not_executable = 无法启动：该命令不可执行
start_wrong_architecture = 无法启动：该命令的格式无法在此节点上执行
start_command_missing = 无法启动：Pod 和镜像都没有指定命令
start_device = 无法启动：无法为容器准备设备
start_create_failed = 无法启动：容器创建失败
start_memory = 无法启动：内存限制过低，容器启动时即内存不足
start_memory_why = 第一个进程在命令运行之前就因内存不足被终止。容器运行时报告：“{ $message }”。
start_configmap = 无法启动：引用的 ConfigMap 不存在
start_secret = 无法启动：引用的 Secret 不存在
start_config_key = 无法启动：ConfigMap 或 Secret 中缺少引用的键
start_security = 无法启动：securityContext 要求以非 root 用户运行
start_volume = 无法启动：要挂载的卷不可用
start_image_volume = 无法启动：镜像无法以卷形式挂载

## Volumes, sandbox, admission, hooks

start_mount = 无法启动：卷无法挂接或挂载
start_claim = 无法启动：PersistentVolumeClaim 尚未绑定或不存在
start_network = 无法启动：无法配置 Pod 的网络
start_pod_devices = 无法启动：无法准备 Pod 的设备
start_sandbox = 无法启动：无法创建 Pod 的沙箱
start_not_admitted = 未被节点接纳：{ $reason }
start_not_admitted_why = kubelet 在容器启动之前拒绝了该 Pod：“{ $message }”。
start_post_start = 无法启动：postStart 回调失败
start_post_start_why = postStart 回调失败时，kubelet 会停止容器：“{ $message }”。
pre_stop_failed = preStop 回调失败，容器仍被停止
pre_stop_failed_why = 该回调在宽限期内、容器停止之前执行，失败信息：“{ $message }”。

## Images

image_never_pull = 无法启动：节点上没有该镜像，且不允许拉取
image_never_pull_why = imagePullPolicy 为 Never。
image_name_invalid = 无法启动：镜像名称无效或有歧义
image_throttled = 无法启动：镜像仓库限制了拉取速率
image_platform = 无法启动：镜像不适用于该节点的平台
image_unauthorized = 无法启动：镜像仓库拒绝访问该镜像
image_unauthorized_why = 镜像仓库要求凭据，或拒绝了 Pod 的凭据。有些镜像仓库对不存在的镜像也会这样应答。
image_not_found = 无法启动：镜像仓库中不存在该镜像
image_timeout = 无法启动：拉取镜像超时
image_unreachable = 无法启动：无法连接镜像仓库，或镜像仓库工作异常
image_unpack = 无法启动：节点无法存储或解压镜像
image_format = 无法启动：容器运行时不支持该镜像的格式
image_policy = 无法启动：镜像被策略拒绝
image_volume = 无法启动：以卷形式挂载的镜像无法拉取
image_failed = 无法启动：镜像拉取失败，原因不明
image_reference = 镜像为 { $image }。
image_message = 拉取失败的消息：“{ $message }”。
