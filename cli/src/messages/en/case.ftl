### Why a recorded case cannot be read.

case_missing = { $path } does not exist; give a file that coroner record has written, or a folder with case.json
case_without_json = { $path } is not a recorded case: it contains no case.json; give a file that coroner record has written, or a folder with case.json
case_unreadable = cannot read { $path }: { $error }
case_not_a_file = { $path } is not a file
case_twice = { $path } is there both plain and compressed; remove one of them
case_json = { $path }: case.json cannot be used: { $error }
case_later = { $path } was recorded by coroner { $version } in a later format; replay it with that version
case_line = { $path }: { $file }, line { $line }: { $fault }
case_too_large = the case contains more than 4 GiB; replay a shorter recording, or leave files out of the folder
line_not_json = not JSON of the expected form: { $error }
line_not_parsed = not what the source writes: { $error }
line_not_text = not UTF-8 text
line_time = a time out of range
line_too_long = longer than 64 MiB
line_unreadable = cannot be read: { $error }
archive_unreadable = { $path } is not an archive that coroner record has written: { $error }
archive_too_many = { $path } contains more than { $limit } files
archive_too_large = { $path } contains more than { $limit }
archive_outside = { $path } names a file outside of its folder: { $name }
archive_not_unpacked = cannot unpack { $path }: { $error }
