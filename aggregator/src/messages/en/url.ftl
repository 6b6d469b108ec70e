### What is wrong with the URL of --export or --jetstream.

url_invalid = it is no URL: { $error }
url_no_host = a host is missing
url_secret = secrets do not belong on a command line; give a file that contains them
url_fragment = # has no meaning here; write %23
url_option_twice = option { $option } is given twice
url_option_unknown = option { $option } is not known here
url_choice = { $option }={ $value } is none of { $choices }
url_range = { $option }={ $value } is not from { $least } to { $most }
url_scheme = { $scheme }: is none of { $schemes }
url_plain = { $scheme }: to another machine is without TLS; add ?insecure if that is intended
url_plain_with_files = { $scheme }: is without TLS; ca, cert and key have no meaning
url_insecure_with_tls = insecure has no meaning with TLS
url_half_identity = cert and key belong together
url_file = give an absolute path, such as file:///var/log/coroner.jsonl
url_path = { $scheme }: goes to a host, and the path { $path } has no meaning
url_cef = format=cef is no JSON; use body=lines with it
url_name = name={ $name } is too long, or has characters other than letters, digits, - _ .
url_subject = subject={ $subject } cannot be published to
url_enterprise = enterprise={ $number } is no private enterprise number
url_stream = { $name } is no name of a stream: only letters, digits, - and _
