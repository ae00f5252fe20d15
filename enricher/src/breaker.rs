//! The breaker for faults of ours: staged records that no edge of this version wrote, and defects. Single ones become rejects and
//! nothing waits for them; a flood (edges upgraded before enrichers, another program on the topic) would turn everything into
//! rejects, so it is slowed to a trickle until it ends or someone comes. Pure.

use std::time::{Duration, Instant};

/// So many faulty batches may come at once.
const CAPACITY: u64 = 20;
/// One more may come after each such time.
const REFILL: Duration = Duration::from_secs(5);

/// One lane's allowance of faulty batches.
#[derive(Debug)]
pub(crate) struct Breaker {
    left: u64,
    counted_from: Instant,
    /// While faults come: how many batches the next transaction may take, so that the good ones between them go on.
    slowed_to: Option<usize>,
}

impl Breaker {
    /// With the whole allowance.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            left: CAPACITY,
            counted_from: now,
            slowed_to: None,
        }
    }

    /// How many batches the next transaction may take.
    pub(crate) fn max_batches(&self, usual: usize) -> usize {
        self.slowed_to.map_or(usual, |slow| slow.min(usual))
    }

    /// How many faulty batches the next transaction may commit; with more it has to be given back.
    pub(crate) fn allowed(&mut self, now: Instant) -> u64 {
        self.refill(now);
        self.left
    }

    /// A transaction of so many batches was given back: slows the next ones down to [`Self::max_batches`]. Tells how long to wait first.
    pub(crate) fn refused(&mut self, batches: u64, now: Instant) -> Duration {
        let all_may_be_faulty = usize::try_from(self.left).unwrap_or(usize::MAX).max(1);
        self.slowed_to = Some(all_may_be_faulty);
        if batches > 1 {
            return Duration::ZERO;
        }
        REFILL.saturating_sub(now.saturating_duration_since(self.counted_from))
    }

    /// A transaction with so many faulty batches was committed. Tells whether the lane is at its usual size again with it.
    pub(crate) fn committed(&mut self, faults: u64, usual: usize) -> bool {
        self.left = self.left.saturating_sub(faults);
        let Some(slow) = self.slowed_to.filter(|_| faults == 0) else {
            return false;
        };
        let faster = slow.saturating_mul(2);
        self.slowed_to = (faster < usual).then_some(faster);
        self.slowed_to.is_none()
    }

    fn refill(&mut self, now: Instant) {
        while self.left < CAPACITY && now.saturating_duration_since(self.counted_from) >= REFILL {
            self.left += 1;
            self.counted_from += REFILL;
        }
        if self.left == CAPACITY {
            self.counted_from = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Breaker, CAPACITY, REFILL};

    const USUAL: usize = 2000;

    /// What a lane does with a transaction of so many batches, so many of them faulty: `Err` with the pause where it gives it back.
    fn check(breaker: &mut Breaker, batches: u64, faults: u64, now: Instant) -> Result<(), Duration> {
        if faults <= breaker.allowed(now) {
            return Ok(());
        }
        Err(breaker.refused(batches, now))
    }

    #[test]
    fn single_faults_pass_and_nothing_is_slowed() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        for number in 0..100 {
            let now = start + REFILL * number;
            assert_eq!(check(&mut breaker, 500, 1, now), Ok(()));
            assert!(!breaker.committed(1, USUAL), "there was nothing to recover from");
            assert_eq!(breaker.max_batches(USUAL), USUAL);
        }
    }

    #[test]
    fn a_flood_becomes_a_trickle() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        assert_eq!(check(&mut breaker, 2000, 2000, start), Err(Duration::ZERO));
        let allowed = breaker.max_batches(USUAL) as u64;
        assert_eq!(allowed, CAPACITY, "even if all are faulty, they may pass");
        assert_eq!(check(&mut breaker, allowed, allowed, start), Ok(()));
        assert!(!breaker.committed(allowed, USUAL));

        assert_eq!(check(&mut breaker, allowed, allowed, start), Err(Duration::ZERO));
        assert_eq!(breaker.max_batches(USUAL), 1);
        assert_eq!(check(&mut breaker, 1, 1, start + REFILL / 5), Err(REFILL * 4 / 5));
        assert_eq!(
            check(&mut breaker, 1, 1, start + REFILL),
            Ok(()),
            "one comes back in its time"
        );
        assert!(!breaker.committed(1, USUAL));
        assert_eq!(check(&mut breaker, 1, 1, start + REFILL), Err(REFILL));
    }

    #[test]
    fn good_batches_pass_and_bring_the_usual_size_back() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        assert!(check(&mut breaker, 2000, 21, start).is_err());
        assert_eq!(check(&mut breaker, 20, 20, start), Ok(()));
        breaker.committed(20, USUAL);
        assert!(check(&mut breaker, 20, 1, start).is_err());

        let mut good = 0;
        loop {
            let batches = breaker.max_batches(USUAL) as u64;
            assert_eq!(check(&mut breaker, batches, 0, start), Ok(()));
            good += batches;
            if breaker.committed(0, USUAL) {
                break;
            }
        }
        assert_eq!(breaker.max_batches(USUAL), USUAL);
        assert_eq!(good, 1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256 + 512 + 1024);
    }

    #[test]
    fn the_allowance_never_grows_over_its_capacity() {
        let start = Instant::now();
        let mut breaker = Breaker::new(start);
        assert!(check(&mut breaker, 100, CAPACITY + 1, start + REFILL * 1000).is_err());
    }
}
