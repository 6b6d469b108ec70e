### Why a recorded case cannot be read.

case_missing = { $path } 不存在；请指定 coroner record 生成的文件，或包含 case.json 的目录
case_without_json = { $path } 不是录制的案例：其中没有 case.json；请指定 coroner record 生成的文件，或包含 case.json 的目录
case_unreadable = 无法读取 { $path }：{ $error }
case_not_a_file = { $path } 不是文件
case_twice = { $path } 同时存在未压缩和压缩的版本；请删除其中一个
case_json = { $path }：case.json 无法使用：{ $error }
case_later = { $path } 由 coroner { $version } 以更新的格式录制；请用该版本重放
case_line = { $path }：{ $file } 第 { $line } 行：{ $fault }
case_too_large = 该案例的内容超过 4 GiB；请使用较短的录制，或从目录中移除部分文件
line_not_json = 不是预期形式的 JSON：{ $error }
line_not_parsed = 与该来源的格式不符：{ $error }
line_not_text = 不是 UTF-8 文本
line_time = 时间超出范围
line_too_long = 长度超过 64 MiB
line_unreadable = 无法读取：{ $error }
archive_unreadable = { $path } 不是 coroner record 生成的归档文件：{ $error }
archive_too_many = { $path } 包含的文件超过 { $limit } 个
archive_too_large = { $path } 的内容超过 { $limit }
archive_outside = { $path } 中有位于其目录之外的文件：{ $name }
archive_not_unpacked = 无法解压 { $path }：{ $error }
