//! The main processes of containers: when one starts or ends, the CRI is worth a question. That is how the ends of
//! containers are known at once where the runtime has no events, as CRI-O unless `enable_pod_events` is set.

use std::collections::HashMap;

use coroner_diagnosis::observation::{
    cgroup::{Level, Path},
    containerd::{TaskEvent, TaskEventKind},
    cri::ContainerId,
};

use super::members::News;

/// Containers that are followed; the next listing shows what is beyond.
const CAPACITY: usize = 4096;

/// By the pid of their main process.
#[derive(Debug, Default)]
pub(super) struct Mains(HashMap<i32, ContainerId>);

impl Mains {
    /// The start or end of a container that the news show, if they do.
    pub(super) fn hint(&mut self, news: &News) -> Option<TaskEvent> {
        match news {
            News::Process(process) if process.namespaced_pid == Some(1) => {
                let Level::Container { container_id, .. } = Path(process.cgroup.clone()).level() else { return None };
                let (container, pid) = (ContainerId(container_id), process.pid);
                if self.0.len() < CAPACITY || self.0.contains_key(&pid) {
                    self.0.insert(pid, container.clone());
                }
                Some(TaskEvent { container, kind: TaskEventKind::Start { pid } })
            }
            News::Exit(exit) => {
                let container = self.0.remove(&exit.pid)?;
                let status = u32::try_from(exit.status.as_exit_code()).ok()?;
                let (process_id, pid) = (container.0.clone(), exit.pid);
                Some(TaskEvent { container, kind: TaskEventKind::Exit { process_id, pid, status, exited_at: None } })
            }
            News::Process(_) | News::Overload => None,
        }
    }

    /// Forgets the processes that are there no more: the news of their ends were lost.
    pub(super) fn keep(&mut self, is_there: impl Fn(i32) -> bool) {
        self.0.retain(|pid, _| is_there(*pid));
    }
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::observation::process::{Exit, Process, WaitStatus};

    use super::*;

    fn process(pid: i32, namespaced_pid: i32, cgroup: &str) -> News {
        let (name, cgroup) = ("app".to_owned(), cgroup.to_owned());
        let namespaced_pid = Some(namespaced_pid);
        News::Process(Process { pid, parent: 1, start_ticks: 5, name, namespaced_pid, cgroup, ending: false })
    }

    #[test]
    fn the_start_and_the_end_of_a_container_are_worth_a_question_and_no_other_process_is() {
        let id = ContainerId("8a".repeat(32));
        let pod = "/kubepods/burstable/pod0a1b2c3d-0000-4000-8000-0123456789ab";
        let container = format!("{pod}/crio-{id}");
        let mut mains = Mains::default();
        let end = |pid| News::Exit(Exit { pid, status: WaitStatus::Exited(3) });
        let start = TaskEvent { container: id.clone(), kind: TaskEventKind::Start { pid: 10 } };
        assert_eq!(mains.hint(&process(10, 1, &container)), Some(start));
        for other in
            [process(11, 7, &container), process(12, 1, &format!("{pod}/crio-conmon-{id}")), end(11), News::Overload]
        {
            assert_eq!(mains.hint(&other), None);
        }
        assert!(mains.hint(&end(10)).is_some_and(|event| event.is_end() && event.container == id));
        assert_eq!(mains.hint(&end(10)), None, "the pid is another's now");
    }

    #[test]
    fn containers_whose_ends_were_lost_leave_room_for_others() {
        let container = |n: i32| format!("/kubepods/burstable/pod0a1b2c3d-0000-4000-8000-0123456789ab/crio-{n:064x}");
        let (mut mains, capacity) = (Mains::default(), i32::try_from(CAPACITY).unwrap());
        let begin = |mains: &mut Mains, pid| mains.hint(&process(pid, 1, &container(pid))).unwrap();
        let end = |mains: &mut Mains, pid| mains.hint(&News::Exit(Exit { pid, status: WaitStatus::Exited(3) }));
        (1..=capacity + 1).for_each(|pid| drop(begin(&mut mains, pid)));
        assert_eq!(end(&mut mains, capacity + 1), None, "as many as there may be are followed");
        mains.keep(|pid| pid == 7);
        begin(&mut mains, capacity + 2);
        assert!([7, capacity + 2].into_iter().all(|pid| end(&mut mains, pid).is_some_and(|event| event.is_end())));
        assert_eq!(end(&mut mains, 8), None);
    }
}
