//! Contributing: what explains a verdict without being one.

use super::{Cause, Chapter::Contributing, Row, Severity::*, row, text};

pub(super) const ROWS: &[Row] = &[
    row(
        Cause::CpuThrottled,
        Contributing,
        Info,
        text("The CPU limit slowed the program down.", "CPU 上限拖慢了程序。"),
        &[text("Raise or remove the CPU limit.", "调高或取消 CPU 上限。")],
    ),
    row(
        Cause::HeapLimit,
        Contributing,
        Info,
        text("The language runtime's own heap limit was reached.", "达到了语言运行时自身的堆上限。"),
        &[text("Raise it together with the memory limit.", "把它与内存上限一同调高。")],
    ),
    row(
        Cause::MemoryBackedVolume,
        Contributing,
        Info,
        text(
            "Files in a memory-backed volume count as memory of the container.",
            "内存卷（medium 为 Memory）中的文件计入容器的内存。",
        ),
        &[text("Limit the volume's size, or keep the files on disk.", "限制该卷的大小，或把文件放到磁盘上。")],
    ),
];
