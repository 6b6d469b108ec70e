not_a_size = 应为大小，例如 1048576、64MiB 或 1GiB
cannot_start = 无法启动：{ $error }
cannot_serve_health = 无法在 { $address } 上提供健康探针：{ $error }
task_cannot_go_on = 任务 { $task } 无法继续：{ $reason }
