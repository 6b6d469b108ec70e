//! The places of connections over TCP: so many in all, of which each kind of caller has a part that no other can take.
//!
//! As long as no known caller has sent a request on a connection, it counts for its address. Of too many of these, the
//! oldest one of the address with the most of them is closed: a client with credentials presents them within
//! milliseconds, and is admitted even if many others are idle. Where no address has many, as when all agents reconnect
//! at once, those that have come first are served first: a new one is refused, and retries, unless the oldest has had
//! its time.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::identity::Identity;

/// Connections of one reader or user at once.
const MAX_OF_READER: usize = 16;
/// The same of one agent, which has one; others are left of networks that broke.
const MAX_OF_AGENT: usize = 4;
/// The most that are not known.
const MAX_UNKNOWN: usize = 1024;
/// More than so many that are not known are many for one address.
const MANY: usize = 8;
/// The time that one of an address with few of them has to show who it is.
const TIME: Duration = Duration::from_secs(1);

/// The open connections, and how many each kind of caller may have.
#[derive(Debug)]
pub struct Connections {
    most: Most,
    state: Mutex<State>,
}

/// How many there may be of each kind.
#[derive(Debug)]
struct Most {
    unknown: usize,
    agents: usize,
    readers: usize,
    users: usize,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    unknown_count: usize,
    /// By address, in the order of coming, with what closes each.
    unknown: BTreeMap<IpAddr, VecDeque<Unknown>>,
    agents: usize,
    readers: usize,
    users: usize,
    callers: BTreeMap<String, usize>,
}

/// A connection on which no known caller has sent a request.
#[derive(Debug)]
struct Unknown {
    number: u64,
    since: Instant,
    closed: CancellationToken,
}

/// What a caller is counted as.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Counted {
    Unknown,
    /// Callers who cannot be distinguished are counted with agents, and have no name.
    Agent(Option<String>),
    Reader(String),
    User(String),
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionPlace {
    connections: Arc<Connections>,
    number: u64,
    address: IpAddr,
    counted: Mutex<Counted>,
    /// Whether a known caller has sent a request.
    was_used: AtomicBool,
    closed: CancellationToken,
}

impl Connections {
    /// Places for this many connections in all, divided among the kinds of callers.
    pub fn new(most: usize) -> Self {
        let [unknown, users, readers] = [most / 20, most / 6, most / 40].map(|part| part.max(4));
        let unknown = unknown.min(MAX_UNKNOWN);
        let agents = most.saturating_sub(unknown + users + readers).max(4);
        Self { most: Most { unknown, agents, readers, users }, state: Mutex::default() }
    }

    /// The number of open connections over TCP.
    pub fn count(&self) -> usize {
        let state = self.state();
        state.unknown_count + state.agents + state.readers + state.users
    }

    /// A place for a connection from this address, on which no known caller has sent a request yet. Another one may
    /// have to give way for it; `None` if none has to.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPlace> {
        let closed = CancellationToken::new();
        let mut state = self.state();
        if state.unknown_count >= self.most.unknown && !state.close_one(Instant::now()) {
            return None;
        }
        state.last += 1;
        state.unknown_count += 1;
        let number = state.last;
        let unknown = Unknown { number, since: Instant::now(), closed: closed.clone() };
        state.unknown.entry(address).or_default().push_back(unknown);
        drop(state);
        Some(self.place(number, address, Counted::Unknown, closed))
    }

    /// A place for a connection to a listener that does not authenticate; `None` if there are as many as there may be.
    pub(crate) fn enter_local(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPlace> {
        let counted = Counted::Agent(None);
        let is_allowed = self.state().add(&counted, &self.most);
        is_allowed.then(|| self.place(0, address, counted, CancellationToken::new()))
    }

    fn place(
        self: &Arc<Self>,
        number: u64,
        address: IpAddr,
        counted: Counted,
        closed: CancellationToken,
    ) -> ConnectionPlace {
        let (connections, counted) = (Arc::clone(self), Mutex::new(counted));
        ConnectionPlace { connections, number, address, counted, was_used: AtomicBool::new(false), closed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes the connection that has waited longest at the address with the most of them. False if it has to be left
    /// its time.
    fn close_one(&mut self, now: Instant) -> bool {
        let oldest = |waiting: &VecDeque<Unknown>| waiting.front().map(|unknown| std::cmp::Reverse(unknown.number));
        let most = self.unknown.iter_mut().max_by_key(|(_, waiting)| (waiting.len(), oldest(waiting)));
        let Some((&address, waiting)) = most else { return false };
        let has_time = |unknown: &Unknown| now.saturating_duration_since(unknown.since) < TIME;
        if waiting.len() <= MANY && waiting.front().is_some_and(has_time) {
            return false;
        }
        if let Some(Unknown { closed, .. }) = waiting.pop_front() {
            closed.cancel();
            self.unknown_count -= 1;
        }
        if waiting.is_empty() {
            self.unknown.remove(&address);
        }
        true
    }

    /// Takes a connection out of those that are not known. False if it had to give way.
    fn remove_unknown(&mut self, address: IpAddr, number: u64) -> bool {
        let Some(waiting) = self.unknown.get_mut(&address) else { return false };
        let Ok(at) = waiting.binary_search_by_key(&number, |unknown| unknown.number) else { return false };
        waiting.remove(at);
        self.unknown_count -= 1;
        if waiting.is_empty() {
            self.unknown.remove(&address);
        }
        true
    }

    /// Counts one more of a kind and caller, if there may be one.
    fn add(&mut self, counted: &Counted, most: &Most) -> bool {
        let (count, most) = match counted {
            Counted::Unknown => return false,
            Counted::Agent(_) => (&mut self.agents, most.agents),
            Counted::Reader(_) => (&mut self.readers, most.readers),
            Counted::User(_) => (&mut self.users, most.users),
        };
        let (name, most_of_caller) = counted.caller();
        let of_caller = name.map_or(0, |name| self.callers.get(name).copied().unwrap_or(0));
        if *count >= most || of_caller >= most_of_caller {
            return false;
        }
        *count += 1;
        if let Some(name) = name {
            *self.callers.entry(name.to_owned()).or_default() += 1;
        }
        true
    }

    fn remove(&mut self, counted: &Counted) {
        match counted {
            Counted::Unknown => return,
            Counted::Agent(_) => self.agents -= 1,
            Counted::Reader(_) => self.readers -= 1,
            Counted::User(_) => self.users -= 1,
        }
        let Some(name) = counted.caller().0 else { return };
        if let Some(count) = self.callers.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.callers.remove(name);
            }
        }
    }
}

impl Counted {
    /// The caller's name, and how many connections it may have.
    fn caller(&self) -> (Option<&str>, usize) {
        match self {
            Self::Unknown | Self::Agent(None) => (None, usize::MAX),
            Self::Agent(Some(name)) => (Some(name), MAX_OF_AGENT),
            Self::Reader(name) | Self::User(name) => (Some(name), MAX_OF_READER),
        }
    }
}

impl ConnectionPlace {
    /// Counts the connection as this caller's, who has sent a request on it. False if there are as many of these as
    /// there may be.
    pub(super) fn admit(&self, identity: &Identity) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if *counted != Counted::Unknown {
            self.was_used.store(true, Relaxed);
            return true;
        }
        let name = identity.to_string();
        let known = match identity {
            Identity::Local => Counted::Agent(None),
            Identity::Agent(_) => Counted::Agent(Some(name)),
            Identity::Reader(_) => Counted::Reader(name),
            Identity::User(_) => Counted::User(name),
        };
        let mut state = self.connections.state();
        if !state.add(&known, &self.connections.most) {
            return false;
        }
        if !state.remove_unknown(self.address, self.number) {
            state.remove(&known);
            return false;
        }
        *counted = known;
        self.was_used.store(true, Relaxed);
        true
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }

    /// Cancelled when the connection has to be closed.
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// Whether a known caller has sent a request.
    pub(crate) fn is_known(&self) -> bool {
        self.was_used.load(Relaxed)
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let counted = self.counted.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.connections.state();
        match counted {
            Counted::Unknown => drop(state.remove_unknown(self.address, self.number)),
            known => state.remove(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::identity::User, *};

    fn address(n: u8) -> IpAddr {
        [10, 0, 0, n].into()
    }

    #[test]
    fn of_too_many_idle_connections_the_oldest_of_the_largest_address_is_closed() {
        let connections = Arc::new(Connections::new(200));
        let honest = connections.enter(address(1)).unwrap();
        let greedy: Vec<_> = (0..100).map(|_| connections.enter(address(2)).unwrap()).collect();
        assert_eq!(connections.count(), 10);
        assert!(!honest.closed().is_cancelled());
        assert_eq!(greedy.iter().filter(|place| !place.closed().is_cancelled()).count(), 9);
        assert!(!greedy[99].closed().is_cancelled(), "who has just come has time to show who it is");
        assert!(honest.admit(&Identity::Agent("n1".into())) && honest.is_known());
        assert!(!greedy[0].admit(&Identity::Agent("n2".into())), "it is closed already");
        drop((honest, greedy));
        assert_eq!(connections.count(), 0);
        assert!(connections.state().callers.is_empty() && connections.state().unknown.is_empty());
    }

    #[test]
    fn of_many_that_come_at_once_the_first_are_served_first() {
        let connections = Arc::new(Connections::new(200));
        let herd: Vec<_> = (0..50).filter_map(|n| connections.enter(address(n))).collect();
        assert_eq!(herd.len(), 10);
        assert!(herd.iter().all(|place| !place.closed().is_cancelled()));
        assert!(herd[0].admit(&Identity::Agent("n0".into())));
        assert!(connections.enter(address(51)).is_some(), "one more place is free");
        assert!(connections.state().close_one(Instant::now() + TIME), "an idle connection has its time and no more");
        assert!(herd[1].closed().is_cancelled());
    }

    #[test]
    fn without_authentication_no_connection_is_closed() {
        let connections = Arc::new(Connections::new(200));
        let places: Vec<_> = (0..200).filter_map(|_| connections.enter_local(address(1))).collect();
        assert!((100..200).contains(&places.len()), "{}", places.len());
        assert!(places.iter().all(|place| !place.is_known() && !place.closed().is_cancelled()));
        assert!(places[0].admit(&Identity::Local) && places[0].is_known());
        drop(places);
        assert_eq!(connections.count(), 0);
    }

    #[test]
    fn each_kind_and_each_caller_has_a_part() {
        let connections = Arc::new(Connections::new(1600));
        let user = |name: &str| Identity::User(Arc::new(User::authenticated(name.into())));
        let admitted = |identity: &Identity| {
            let place = connections.enter(address(1)).unwrap();
            place.admit(identity).then_some(place)
        };
        let of_one: Vec<_> = (0..50).filter_map(|_| admitted(&user("jane"))).collect();
        assert_eq!(of_one.len(), MAX_OF_READER);
        let of_many: Vec<_> = (0..500).filter_map(|n| admitted(&user(&format!("user-{n}")))).collect();
        assert_eq!(of_one.len() + of_many.len(), 266, "users have a sixth");
        assert!(admitted(&Identity::Reader("siem".into())).is_some());
        let agents: Vec<_> = (0..1_200).filter_map(|n| admitted(&Identity::Agent(format!("n{n}")))).collect();
        assert_eq!(agents.len(), 1_200);
        let stuck: Vec<_> = (0..10).filter_map(|_| admitted(&Identity::Agent("n".into()))).collect();
        assert_eq!(stuck.len(), MAX_OF_AGENT);
    }
}
