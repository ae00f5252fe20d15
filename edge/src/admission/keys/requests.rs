//! Look-ups that wait for their answer: one per key however many requests wait for it, taken in groups by a few readers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::hash::KeyHash;

/// Readers at the same time: so many queries at the most.
const READERS: usize = 4;
/// Keys of one query.
const GROUP: usize = 500;
/// Keys that wait; beyond it a look-up is refused at once.
const WAITING: usize = 20_000;

/// Where a look-up's answer appears.
pub(super) type Promise<A> = watch::Receiver<Option<A>>;

/// The look-ups that wait.
pub(super) struct Requests<A> {
    state: Mutex<State<A>>,
}

struct State<A> {
    promised: HashMap<KeyHash, watch::Sender<Option<A>>>,
    queue: VecDeque<KeyHash>,
    readers: usize,
}

/// What became of a wish to look a key up.
pub(super) enum Wish<A> {
    /// Somebody reads already.
    Promised(Promise<A>),
    /// The caller has to start a reader, which takes groups until there are none.
    NeedsReader(Promise<A>),
    /// Too many wait.
    Refused,
}

impl<A: Clone> Requests<A> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                promised: HashMap::new(),
                queue: VecDeque::new(),
                readers: 0,
            }),
        }
    }

    pub(super) fn wish(&self, hash: KeyHash) -> Wish<A> {
        let mut state = self.lock();
        if let Some(sender) = state.promised.get(&hash) {
            return Wish::Promised(sender.subscribe());
        }
        if state.promised.len() >= WAITING {
            return Wish::Refused;
        }
        let (sender, promise) = watch::channel(None);
        state.promised.insert(hash, sender);
        state.queue.push_back(hash);
        if state.readers == READERS {
            return Wish::Promised(promise);
        }
        state.readers += 1;
        Wish::NeedsReader(promise)
    }

    /// The next group for a reader; `None` ends the reader.
    pub(super) fn take_group(&self) -> Option<Vec<KeyHash>> {
        let mut state = self.lock();
        if state.queue.is_empty() {
            state.readers -= 1;
            return None;
        }
        let count = state.queue.len().min(GROUP);
        Some(state.queue.drain(..count).collect())
    }

    /// Answers everybody who waits for that key.
    pub(super) fn answer(&self, hash: &KeyHash, answer: A) {
        if let Some(sender) = self.lock().promised.remove(hash) {
            sender.send_replace(Some(answer));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash::KeyHash;
    use super::{GROUP, READERS, Requests, WAITING, Wish};

    #[test]
    fn a_key_is_read_once_for_all_who_wait() {
        let requests = Requests::new();
        let hash = KeyHash::of("key");
        let Wish::NeedsReader(first) = requests.wish(hash) else {
            panic!("nobody reads");
        };
        let Wish::Promised(second) = requests.wish(hash) else {
            panic!("a reader is on its way");
        };
        assert_eq!(requests.take_group(), Some(vec![hash]));
        requests.answer(&hash, 7);
        assert_eq!((*first.borrow(), *second.borrow()), (Some(7), Some(7)));
        assert_eq!(requests.take_group(), None);
        assert!(
            matches!(requests.wish(hash), Wish::NeedsReader(_)),
            "the reader has ended"
        );
    }

    #[test]
    fn readers_groups_and_the_queue_are_bounded() {
        let requests = Requests::<()>::new();
        let mut needed = 0;
        for index in 0..WAITING {
            match requests.wish(KeyHash::of(&index.to_string())) {
                Wish::NeedsReader(_) => needed += 1,
                Wish::Promised(_) => {}
                Wish::Refused => panic!("{index} of {WAITING}"),
            }
        }
        assert_eq!(needed, READERS);
        assert!(matches!(requests.wish(KeyHash::of("one more")), Wish::Refused));
        let groups = std::iter::from_fn(|| requests.take_group()).take(WAITING / GROUP);
        assert!(groups.map(|group| group.len()).all(|length| length == GROUP));
    }
}
