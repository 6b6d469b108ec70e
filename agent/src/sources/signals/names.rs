//! Names of threads that live too short for /proc: of the programs that send signals and end.

use std::collections::{HashMap, VecDeque};

use coroner_diagnosis::observation::trace::Thread;

/// What such programs are called. Their threads bear the same names.
const PROGRAMS: [&str; 8] = ["runc*", "crun*", "youki*", "conmon*", "kill*", "pkill", "crictl", "ctr"];
/// Threads that are remembered: those of some dozen programs.
const THREADS: usize = 1024;

/// Who bears these names by now, by thread id. The latest are kept.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_thread: HashMap<i32, String>,
    order: VecDeque<i32>,
}

impl Names {
    /// Which events of a tracepoint with this field are about them, in the kernel's language of filters.
    pub(super) fn filter(field: &str) -> String {
        PROGRAMS.map(|name| format!("{field} ~ \"{name}\"")).join(" || ")
    }

    pub(super) fn record(&mut self, thread: Thread) {
        if self.by_thread.insert(thread.tid, thread.comm).is_none() {
            self.order.push_back(thread.tid);
            if self.order.len() > THREADS
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_thread.remove(&oldest);
            }
        }
    }

    pub(super) fn of(&self, tid: i32) -> Option<&str> {
        self.by_thread.get(&tid).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_names_are_kept() {
        let mut names = Names::default();
        for tid in 0..3000 {
            names.record(Thread { tid, comm: format!("runc {tid}") });
            names.record(Thread { tid, comm: "runc".to_owned() });
        }
        assert_eq!((names.of(0), names.of(2999)), (None, Some("runc")));
        assert_eq!((names.by_thread.len(), names.order.len()), (THREADS, THREADS));
    }
}
