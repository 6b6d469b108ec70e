not_a_size = not a size such as 1048576, 64MiB or 1GiB
cannot_start = cannot start: { $error }
cannot_serve_health = cannot serve health on { $address }: { $error }
task_cannot_go_on = the task { $task } cannot go on: { $reason }
