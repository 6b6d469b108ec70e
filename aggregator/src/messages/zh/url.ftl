### What is wrong with the URL of --export or --jetstream.

url_invalid = 不是有效的 URL：{ $error }
url_no_host = 缺少主机
url_secret = 命令行中不应包含敏感信息；请指定包含它的文件
url_fragment = 此处不能使用 #；请写作 %23
url_option_twice = 选项 { $option } 重复
url_option_unknown = 此处没有选项 { $option }
url_choice = { $option }={ $value } 不在可选值之中：{ $choices }
url_range = { $option }={ $value } 不在 { $least } 到 { $most } 的范围内
url_scheme = 不支持 { $scheme }:；可用的有 { $schemes }
url_plain = { $scheme }: 以明文（无 TLS）连接其他主机；如确需如此，请添加 ?insecure
url_plain_with_files = { $scheme }: 不使用 TLS；不能指定 ca、cert 和 key
url_insecure_with_tls = 使用 TLS 时不能指定 insecure
url_half_identity = cert 和 key 必须同时指定
url_file = 应为绝对路径，例如 file:///var/log/coroner.jsonl
url_path = { $scheme }: 只需要主机；路径 { $path } 没有意义
url_cef = format=cef 不是 JSON；请同时使用 body=lines
url_name = name={ $name } 过长，或包含字母、数字和 - _ . 以外的字符
url_subject = subject={ $subject } 不能用于发布
url_enterprise = enterprise={ $number } 不是企业编号（private enterprise number）
url_stream = { $name } 不是有效的流名称：只能包含字母、数字、- 和 _
