//! Contributing: what explains a verdict without being one.

use super::{Cause, Chapter::Contributing, Row, Severity::*, causes, next, row};

pub(super) const ROWS: &[Row] = &[
    row(Cause::CpuThrottled, Contributing, Info, causes::cause_cpu_throttled, |at| {
        vec![next::next_cpu_limit(at.container)]
    }),
    row(Cause::HeapLimit, Contributing, Info, causes::cause_heap_limit, |_| vec![next::next_heap_limit()]),
    row(Cause::MemoryBackedVolume, Contributing, Info, causes::cause_memory_backed_volume, |_| {
        vec![next::next_memory_volume()]
    }),
    row(Cause::MemoryThrottled, Contributing, Info, causes::cause_memory_throttled, |_| vec![next::next_memory_high()]),
    row(Cause::SwapThrashing, Contributing, Info, causes::cause_swap_thrashing, |_| vec![next::next_swap()]),
    row(Cause::LimitNotApplied, Contributing, Info, causes::cause_limit_not_applied, |_| {
        vec![next::next_limit_applied()]
    }),
    row(Cause::VolumeFull, Contributing, Info, causes::cause_volume_full, |_| vec![next::next_volume_full()]),
];
